"""Notes of an NSynth folder (Engel et al. 2017, arXiv 1704.01279): examples.json and audio/*.wav."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from training.corpus.recordings import Recording, RecordingsJob
from training.corpus.source import CorpusError, hash_file


@dataclass(frozen=True, kw_only=True, slots=True)
class NSynthSource:
    """One folder of the data set; its instruments are split by our own rule, not by its folders."""

    folder: Path
    """Folder with examples.json and audio/."""
    note_low: int = 0
    """Lowest MIDI key taken."""
    note_high: int = 127
    """Highest MIDI key taken."""

    @property
    def name(self) -> str:
        """``nsynth``."""
        return "nsynth"

    @property
    def licence(self) -> str:
        """Licence of the data set."""
        return "CC-BY-4.0"

    def sha256(self) -> str:
        """Hash of examples.json."""
        return hash_file(self.folder / "examples.json")

    def jobs(self) -> list[RecordingsJob]:
        """One job for each instrument, by name.

        Raises:
            CorpusError: examples.json is missing, damaged or names no note in the range.
        """
        path = self.folder / "examples.json"
        recordings: defaultdict[str, list[Recording]] = defaultdict(list)
        try:
            examples = json.loads(path.read_text(encoding="utf-8"))
            for note_name, facts in sorted(examples.items()):
                if self.note_low <= int(facts["pitch"]) <= self.note_high:
                    recordings[str(facts["instrument_str"])].append(
                        Recording(
                            path=self.folder / "audio" / f"{note_name}.wav",
                            midi_pitch=float(facts["pitch"]),
                            velocity=int(facts["velocity"]),
                        )
                    )
        except OSError as error:
            raise CorpusError(
                f"NSynth folder {self.folder} has no readable examples.json ({error.strerror}); "
                "name the folder that holds examples.json and audio/."
            ) from error
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise CorpusError(
                f"{path} is no NSynth index ({error}); unpack the data set again."
            ) from error
        if not recordings:
            raise CorpusError(
                f"{path} names no note between MIDI {self.note_low} and {self.note_high}; "
                "widen note_low and note_high."
            )
        return [
            RecordingsJob(
                instrument=f"nsynth/{instrument}",
                source=self.name,
                name=instrument,
                recordings=tuple(recordings[instrument]),
            )
            for instrument in sorted(recordings)
        ]
