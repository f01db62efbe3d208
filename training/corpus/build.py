"""Rendering of the corpus: all note sources into one folder of arrays, by parallel workers.

The folder holds ``notes.jsonl`` (a :class:`~training.corpus.source.Note` a line), ``mels.npy``
(float16 [N, M, F], of the notes at their reference loudness), ``audio.npy`` (int16 [N, T], of the
notes at a peak of 1) in the same order, and ``corpus.json``.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import shutil
import threading
import uuid
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray

from core.audio.loudness import reference_gain
from core.errors import ParameterError
from core.mel import MelConfig, MelSpectrogram
from core.progress import Progress, stop_if
from training.corpus.designed_presets import DesignedPresetSource
from training.corpus.folder import FolderSource
from training.corpus.nsynth import NSynthSource
from training.corpus.soundfonts import SoundFontSource
from training.corpus.source import (
    N_SAMPLES,
    PCM_SCALE,
    SAMPLE_RATE,
    CorpusError,
    Note,
    NoteGrid,
    NoteJob,
    NoteKind,
    NoteSource,
)
from training.corpus.splits import Split, split_of
from training.corpus.synth_patches import PatchSource

FORMAT_VERSION = 2
"""Version of the folder's layout."""
_CANCELLED = "The corpus was cancelled; nothing was kept."
JOBS_AHEAD = 4
"""Jobs waiting for each worker; bounds the memory of finished ones."""

"""A function that is called with jobs done and jobs in all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusConfig:
    """What the corpus is made from."""

    soundfonts: tuple[str, ...] = (
        "/usr/share/sounds/sf2/FluidR3_GM.sf2",
        "/usr/share/sounds/sf2/MuseScore_General_Full.sf2",
        "/usr/share/sounds/sf2/OPL-3_FM_128M.sf2",
    )
    """Paths of SoundFont files."""
    presets_per_split: int | None = None
    """Take only the first presets of each split from each soundfont; None takes all."""
    note_low: int = 24
    """Lowest MIDI key."""
    note_high: int = 96
    """Highest MIDI key."""
    note_step: int = 3
    """Semitones between the keys of a preset; the first key is drawn by chance within a step."""
    max_stretch: float = 5.0
    """Keys of a soundfont whose recordings are repitched by more semitones are left out."""
    velocities: tuple[int, ...] = (100, 45)
    """Velocities of each key, 1 to 127; a soundfont's key is struck again only where other
    recordings sound."""
    nsynth_folder: str | None = None
    """NSynth folder with examples.json and audio/; None: not used."""
    folders: tuple[str, ...] = ()
    """Folders of note-named recordings, SFZ or SF2 instruments."""
    synthesizers: tuple[str, ...] = ()
    """Synthesizers whose designed presets are played, see training/corpus/designed_presets.py."""
    presets_per_synthesizer: int | None = None
    """Presets taken of each synthesizer, drawn by chance; None takes all."""
    n_patches: int = 1000
    """Random synthesizer patches."""
    notes_per_patch: int = 10
    """Notes of each patch, spread over the keys."""
    detune_probability: float = 0.3
    """Share of the notes that are detuned, 0 to 1; their label moves along."""
    detune_cents: float = 50.0
    """Largest detuning in cents, 0 to 100."""
    splits: tuple[str, ...] = tuple(Split)
    """Which splits to render; their notes are the same whatever else is rendered."""
    seed: int = 0
    """Seed of all random choices."""
    workers: int = 0
    """Worker processes; 0: one for each core."""

    def __post_init__(self) -> None:
        if self.n_patches < 0 or self.notes_per_patch < 1:
            raise ParameterError(
                f"n_patches = {self.n_patches} must be 0 or more and "
                f"notes_per_patch = {self.notes_per_patch} at least 1."
            )
        unknown = set(self.splits) - set(Split)
        if unknown:
            raise ParameterError(f"Split '{unknown.pop()}' is none of {', '.join(Split)}.")
        if self.workers < 0:
            raise ParameterError(f"workers = {self.workers} must be 0 (one for each core) or more.")
        _ = self.grid

    @property
    def grid(self) -> NoteGrid:
        """Keys, velocities and detunings of instruments that play any note."""
        return NoteGrid(
            note_low=self.note_low,
            note_high=self.note_high,
            note_step=self.note_step,
            max_stretch=self.max_stretch,
            velocities=self.velocities,
            detune_probability=self.detune_probability,
            detune_cents=self.detune_cents,
            seed=self.seed,
        )

    def sources(self) -> list[NoteSource]:
        """The note sources in corpus order."""
        sources: list[NoteSource] = [
            SoundFontSource(
                path=Path(path), grid=self.grid, presets_per_split=self.presets_per_split
            )
            for path in self.soundfonts
        ]
        if self.nsynth_folder is not None:
            sources.append(
                NSynthSource(
                    folder=Path(self.nsynth_folder),
                    note_low=self.note_low,
                    note_high=self.note_high,
                )
            )
        sources.extend(FolderSource(folder=Path(path), grid=self.grid) for path in self.folders)
        sources.extend(
            DesignedPresetSource(
                synthesizer=name, grid=self.grid, max_presets=self.presets_per_synthesizer
            )
            for name in self.synthesizers
        )
        if self.n_patches > 0:
            sources.append(
                PatchSource(
                    n_patches=self.n_patches, notes_per_patch=self.notes_per_patch, grid=self.grid
                )
            )
        return sources


def build_corpus(
    config: CorpusConfig,
    out: Path,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Path:
    """Render the corpus into a folder that appears only when it is whole.

    Args:
        config: What to render; the same config gives the same corpus.
        out: Folder to create; it must not exist.
        progress: Told the jobs (instruments) done and in all.
        cancel: Set it to stop between jobs.

    Returns:
        ``out``.

    Raises:
        CorpusError: A source or FluidSynth is missing, nothing sounds, or ``out`` exists.
        RenderCancelled: ``cancel`` was set; nothing is left behind.
    """
    if out.exists():
        raise CorpusError(f"Corpus folder {out} already exists; remove it or name another one.")
    sources = config.sources()
    facts = [_SourceFacts(source) for source in sources]
    wanted = frozenset(config.splits)
    jobs = [job for source in facts for job in source.jobs if split_of(job.program) in wanted]
    if not jobs:
        raise CorpusError("The corpus config names no sounds; give soundfonts, patches or folders.")
    repeated = [
        name for name, times in Counter(job.instrument for job in jobs).items() if times > 1
    ]
    if repeated:
        raise CorpusError(
            f"Instrument '{repeated[0]}' occurs twice in the corpus; rename a folder or soundfont."
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}.partial")
    partial.mkdir()
    try:
        splits = _write_notes(partial, jobs, config.workers, progress, cancel)
        _write_summary(partial / "corpus.json", config, facts, splits)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return out


def read_notes(folder: Path) -> list[Note]:
    """Labels of a corpus folder, in the order of its arrays.

    Raises:
        CorpusError: The folder holds no corpus.
    """
    path = folder / "notes.jsonl"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise CorpusError(
            f"{folder} holds no corpus ({error}); render one with `python -m training corpus`."
        ) from error
    notes = []
    for line in lines:
        fields = json.loads(line)
        typed = {
            "split": Split(fields["split"]),
            "kind": NoteKind(fields["kind"]),
            "samples": tuple(fields["samples"]),
        }
        notes.append(Note(**fields | typed))
    return notes


@dataclass(frozen=True, slots=True)
class _RenderedJob:
    """What a worker sends back: labels and arrays of one instrument."""

    notes: list[Note]
    mels: NDArray[np.float16]
    audio: NDArray[np.int16]


class _SourceFacts:
    """What the summary tells about a source, taken before rendering."""

    def __init__(self, source: NoteSource) -> None:
        self.name = source.name
        self.licence = source.licence
        self.jobs = source.jobs()
        self.sha256 = source.sha256()


def _start_worker() -> None:
    torch.set_num_threads(1)


def _render_job(job: NoteJob) -> _RenderedJob:
    """Render one instrument (in a worker)."""
    notes: list[Note] = []
    pcm: list[NDArray[np.int16]] = []
    mels: list[NDArray[np.float16]] = []
    config = MelConfig()
    spectrogram = MelSpectrogram(config)
    for rendered in job.render():
        quantised = np.round(rendered.audio * PCM_SCALE).astype(np.int16)
        # The mel is that of the stored samples, so that both tell the same story.
        audio = quantised.astype(np.float32) / np.float32(PCM_SCALE)
        gain = reference_gain(audio, SAMPLE_RATE)
        with torch.no_grad():
            mel = spectrogram(torch.from_numpy(audio * np.float32(gain))[None])[0]
        notes.append(replace(rendered.note, gain_db=round(20.0 * math.log10(gain), 3)))
        pcm.append(quantised)
        mels.append(mel.numpy().astype(np.float16))
    if not notes:
        empty_mels = np.zeros((0, config.n_mels, config.n_frames), np.float16)
        return _RenderedJob([], empty_mels, np.zeros((0, N_SAMPLES), np.int16))
    return _RenderedJob(notes, np.stack(mels), np.stack(pcm))


def _rendered_in_order(
    jobs: Sequence[NoteJob], workers: int, cancel: threading.Event | None
) -> Iterator[_RenderedJob]:
    """Results of all jobs in their order, a bounded number of them ahead."""
    context = multiprocessing.get_context("spawn")
    n_workers = workers or multiprocessing.cpu_count()
    executor = ProcessPoolExecutor(n_workers, mp_context=context, initializer=_start_worker)
    try:
        waiting = iter(jobs)
        pending: deque[Future[_RenderedJob]] = deque()
        for job in waiting:
            pending.append(executor.submit(_render_job, job))
            if len(pending) >= JOBS_AHEAD * n_workers:
                yield pending.popleft().result()
            stop_if(cancel, _CANCELLED)
        while pending:
            yield pending.popleft().result()
            stop_if(cancel, _CANCELLED)
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


class _GrowingArray:
    """An .npy file that grows along its first axis; the header is filled in when closed."""

    def __init__(self, path: Path, row_shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._file: IO[bytes] = path.open("wb")
        self._row_shape = row_shape
        self._dtype = dtype
        self._n_rows = 0
        self._write_header()

    def _write_header(self) -> None:
        header = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self._n_rows, *self._row_shape),
        }
        # NumPy pads headers so that the first axis can grow in place.
        np.lib.format.write_array_header_1_0(self._file, header)

    def append(self, rows: NDArray[Any]) -> None:
        """Add rows [n, …]."""
        self._file.write(np.ascontiguousarray(rows, self._dtype).data)
        self._n_rows += len(rows)

    def close(self, *, complete: bool) -> None:
        """Close the file, with the final shape where it is complete."""
        if complete:
            self._file.seek(0)
            self._write_header()
        self._file.close()


def _write_notes(
    folder: Path,
    jobs: Sequence[NoteJob],
    workers: int,
    progress: Progress | None,
    cancel: threading.Event | None,
) -> dict[str, Counter[Split]]:
    """Render all jobs into the folder's arrays; notes of each instrument counted by split."""
    config = MelConfig()
    mels = _GrowingArray(
        folder / "mels.npy", (config.n_mels, config.n_frames), np.dtype(np.float16)
    )
    audio = _GrowingArray(folder / "audio.npy", (N_SAMPLES,), np.dtype(np.int16))
    counts = {job.instrument: Counter[Split]() for job in jobs}
    complete = False
    try:
        with (folder / "notes.jsonl").open("w", encoding="utf-8") as labels:
            for done, rendered in enumerate(_rendered_in_order(jobs, workers, cancel), start=1):
                mels.append(rendered.mels)
                audio.append(rendered.audio)
                for note in rendered.notes:
                    labels.write(json.dumps(asdict(note)) + "\n")
                    counts[note.instrument][note.split] += 1
                if progress is not None:
                    progress(done, len(jobs))
        complete = True
    finally:
        mels.close(complete=complete)
        audio.close(complete=complete)
    if not any(counts.values()):
        raise CorpusError("Every note of the corpus is silent; check the sources in the config.")
    return counts


def _write_summary(
    path: Path,
    config: CorpusConfig,
    sources: Sequence[_SourceFacts],
    counts: dict[str, Counter[Split]],
) -> None:
    def notes_of(jobs: Sequence[NoteJob]) -> dict[str, int]:
        return {str(split): sum(counts[job.instrument][split] for job in jobs) for split in Split}

    notes_per_split = notes_of([job for source in sources for job in source.jobs])
    summary = {
        "format_version": FORMAT_VERSION,
        "config": asdict(config),
        "mel": asdict(MelConfig()),
        "n_notes": sum(notes_per_split.values()),
        "notes_per_split": notes_per_split,
        "sources": [
            {
                "name": source.name,
                "licence": source.licence,
                "sha256": source.sha256,
                "instruments": sum(1 for job in source.jobs if counts[job.instrument]),
                "notes": notes_of(source.jobs),
            }
            for source in sources
        ],
    }
    path.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
