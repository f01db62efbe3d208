"""What the program does where no window can open: the same job, into files.

Each sample becomes an SFZ instrument with a picture of its spectrogram and of what was made of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from app.cli.console import cancellable, failing_with, step_progress, tell
from app.cli.work import load_engine, read_clips
from app.spectrogram_picture import Panel, draw_panels
from core.audio.pitch import note_name, parse_notes
from core.export.files import publish, safe_stem, write_file
from core.inference.production import Production, deliver, listen, make
from core.instrument import Instrument
from core.plan import InstrumentPlan
from core.sound import RenderSettings, Timbre

SAMPLES_FOLDER = Path(__file__).resolve().parents[1] / "resources" / "samples"
DEMO_SAMPLE = "bell"
DEMO_NOTES = "C2:C6:3"
DEMO_FORMATS = ("sfz",)
DEMO_FOLDER = Path("build") / "demo"
_PICTURED_NOTES = 5


def run(files: Sequence[Path]) -> None:
    """Export an instrument and its picture for each file, or for a bundled sample.

    Args:
        files: One-shots; none takes the bundled demo sample.

    Raises:
        CliError: With the exit code.
    """
    with failing_with(2):
        clips = read_clips(files or [SAMPLES_FOLDER / f"{DEMO_SAMPLE}.wav"])
        engine = load_engine(None, "auto")
        sounds = [listen(engine, [clip], RenderSettings()) for clip in clips]
    with failing_with(1), cancellable() as cancel:
        for sound in sounds:
            (timbre,) = sound.mix.timbres
            order = Production(
                name=timbre.name,
                sound=sound,
                plan=InstrumentPlan(notes=parse_notes(DEMO_NOTES)),
                formats=DEMO_FORMATS,
                folder=DEMO_FOLDER,
                is_replacing=True,
            )
            with step_progress() as report:
                instrument = make(order, engine, report, cancel)
                delivery = deliver(order, instrument, report, cancel)
            assert isinstance(instrument, Instrument)  # no grid was ordered
            for path in (*delivery.opened, write_picture(timbre, instrument, DEMO_FOLDER)):
                tell(str(path))


def write_picture(timbre: Timbre, instrument: Instrument, folder: Path) -> Path:
    """Write ``folder/NAME.png``: the source's spectrogram beside those of some rendered notes.

    Returns:
        The picture's path.
    """
    from app.note_mel import NoteMel  # loads torch

    to_mel = NoteMel(instrument.sample_rate)
    chosen = np.linspace(0, len(instrument.regions) - 1, _PICTURED_NOTES).round().astype(int)
    panels = [Panel(title=f"{timbre.name}: source", mel=timbre.mel)]
    for region in (instrument.regions[index] for index in np.unique(chosen)):
        mel = to_mel(region.samples)
        panels.append(Panel(title=f"{note_name(region.root_note)} ({region.root_note})", mel=mel))
    name = f"{safe_stem(instrument.name)}.png"
    picture = draw_panels(panels)
    publish(folder, [name], lambda staging: write_file(staging / name, (picture,)), force=True)
    return folder / name
