"""From an engine, a sound and a plan to an instrument that is ready to be exported.

The engine renders single notes; here they become an instrument: keys and velocities shared out,
loops found, layers ordered, all levels set together.

Levels are set in core/inference/leveling.py.

Torch is imported by the engine given, never here.

Shape legend: C channels, T samples, K notes.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import scipy.fft
from scipy.signal import butter, sosfilt

from core.audio.loop import STEEPEST_DB_S, find_loop, find_sustain
from core.audio.pitch import midi_to_hz
from core.audio.signal import fade
from core.errors import ParameterError
from core.inference.leveling import FinishedNote, Samples, Sketch, leveled, measured
from core.instrument import (
    Instrument,
    PadInstrument,
)
from core.pad import weights_at
from core.plan import InstrumentPlan, PadGrid
from core.progress import Progress, stop_if
from core.sound import RenderRequest, RenderSettings, Sound, Timbre, TimbreMix

ALTERNATIVE_VARIATION = 0.3
"""Least scale of z for the second and further alternatives of a round robin."""

_LENIENT_DB_S = 3 * STEEPEST_DB_S  # for single notes of a sound that sustains on the whole
_DARKENING = 2.0  # corner of the low-pass that makes a softer layer, in spectral centroids


class Renderer(Protocol):
    """What is needed of a ``SynthesisEngine``."""

    @property
    def sample_rate(self) -> int:
        """Rate of everything rendered, Hz."""

    def render(
        self,
        request: RenderRequest,
        *,
        progress: Progress | None = None,
        cancel: threading.Event | None = None,
    ) -> Instrument:
        """Render every note of a request."""


def build_instrument(
    engine: Renderer,
    sound: Sound,
    plan: InstrumentPlan,
    *,
    name: str | None = None,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Instrument:
    """Render, loop, layer and level an instrument.

    Args:
        engine: Renders the notes.
        sound: What it sounds like.
        plan: What it is made of.
        name: Display name; None joins the sources' names.
        progress: Called with regions done and regions in all.
        cancel: Looked at before every batch and every note.

    Returns:
        Layer by layer from the softest, alternative by alternative, notes in the plan's order. The
        same arguments give the same samples on the same machine.

    Raises:
        RenderCancelled: ``cancel`` was set; nothing is kept.
        ParameterError: A setting is out of range.
        DeviceError: Memory ran out.
    """
    work = _Work(plan.n_regions, progress, cancel)
    sketch = _sketch(engine, sound, plan, work)
    (instrument,) = leveled([sketch], plan, engine.sample_rate)
    return replace(instrument, name=name or instrument.name)


def build_pad(
    engine: Renderer,
    sound: Sound,
    plan: InstrumentPlan,
    grid: PadGrid,
    places: Sequence[tuple[float, float]],
    *,
    name: str | None = None,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> PadInstrument:
    """Build an instrument at every point of a grid over the pad, edges included.

    Args:
        engine: Renders the notes.
        sound: What it sounds like; the weights of its mix are replaced.
        plan: What every point is made of.
        grid: Its points.
        places: Where the mix's timbres lie on the pad, x and y in 0–1 from the bottom left.
        name: Display name; None joins the sources' names.
        progress: Called with regions done and regions in all.
        cancel: Looked at before every batch and every note.

    Returns:
        Points of one level: moving between them changes the timbre alone.

    Raises:
        RenderCancelled: ``cancel`` was set; nothing is kept.
        ParameterError: A setting is out of range, or there are not as many places as timbres.
        DeviceError: Memory ran out.
    """
    if len(places) != len(sound.mix.timbres):
        raise ParameterError(
            f"Got {len(places)} places on the pad for {len(sound.mix.timbres)} samples."
        )
    work = _Work(len(grid.places) * plan.n_regions, progress, cancel)
    weights = weights_at(np.array(grid.places), np.array(places, dtype=np.float64))
    sketches = []
    for (x, y), row in zip(grid.places, weights.tolist(), strict=True):
        mix = _audible(sound.mix.timbres, row)
        sketch = _sketch(engine, replace(sound, mix=mix), plan, work)
        sketches.append(replace(sketch, facts={**sketch.facts, "pad": f"x {x:.4g}, y {y:.4g}"}))
    return PadInstrument(
        name=name or "-".join(timbre.name for timbre in sound.mix.timbres),
        columns=grid.columns,
        rows=grid.rows,
        points=tuple(leveled(sketches, plan, engine.sample_rate)),
    )


class _Work:
    """Counts regions over several renders and says when to stop.

    Args:
        total: Regions in all.
        progress: Told about them.
        cancel: Set by whoever wants to stop.
    """

    def __init__(
        self, total: int, progress: Progress | None, cancel: threading.Event | None
    ) -> None:
        self._total = total
        self._progress = progress
        self._cancel = cancel
        self._done = 0

    def render(self, engine: Renderer, request: RenderRequest) -> Instrument:
        """Render with progress over the whole work."""

        def report(done: int, _: int) -> None:
            if self._progress is not None:
                self._progress(self._done + done, self._total)

        rendered = engine.render(request, progress=report, cancel=self._cancel)
        self._done += len(request.notes)
        return rendered

    def check(self) -> None:
        """Raise if the work is to stop."""
        stop_if(self._cancel, "Rendering was cancelled; no note was kept.")


def _sketch(engine: Renderer, sound: Sound, plan: InstrumentPlan, work: _Work) -> Sketch:
    """Render and finish every layer and alternative of one instrument."""
    rate = engine.sample_rate
    velocities = plan.options.rendered_velocities(sound.settings.velocity)
    rendered: dict[tuple[int, int], list[Samples]] = {}
    n_darkened = [0] * plan.options.velocity_layers
    first: Instrument | None = None
    for turn in range(plan.options.round_robins):
        for layer in reversed(range(plan.options.velocity_layers)):
            settings = replace(_alternative(sound.settings, turn), velocity=velocities[layer])
            request = replace(sound, settings=settings).request(plan.notes)
            instrument = work.render(engine, request)
            first = first or instrument
            notes = [_cut(region.samples, plan, rate) for region in instrument.regions]
            if layer + 1 < plan.options.velocity_layers:
                for index, louder in enumerate(rendered[layer + 1, turn]):
                    work.check()
                    notes[index], is_darkened = _no_brighter(notes[index], louder, rate)
                    n_darkened[layer] += is_darkened
            rendered[layer, turn] = notes
    assert first is not None
    steepest_db_s, why_not = _sustains(rendered[plan.options.velocity_layers - 1, 0], plan, rate)
    takes: dict[tuple[int, int], list[FinishedNote]] = {}
    for take, notes in rendered.items():
        takes[take] = []
        for note, samples in zip(plan.notes, notes, strict=True):
            work.check()
            takes[take].append(_finish(samples, note, steepest_db_s, plan, rate))
    facts = {**first.provenance, **_facts(sound.settings, plan, velocities, n_darkened)}
    n_looped = sum(note.loop is not None for notes in takes.values() for note in notes)
    facts["loops"] = why_not or f"{n_looped} of {plan.n_regions} notes"
    return Sketch(name=first.name, takes=takes, facts=facts)


def _alternative(settings: RenderSettings, turn: int) -> RenderSettings:
    """Settings of an alternative; the first one is the sound itself."""
    if turn == 0:
        return settings
    variation = max(settings.variation, ALTERNATIVE_VARIATION)
    return replace(settings, seed=settings.seed + turn, variation=variation)


def _facts(
    settings: RenderSettings,
    plan: InstrumentPlan,
    velocities: Sequence[int],
    n_darkened: list[int],
) -> dict[str, str]:
    """What the plan adds to the engine's provenance."""
    facts = {}
    if plan.options.velocity_layers > 1:
        facts["velocity_layers"] = "; ".join(
            f"{low}-{high} from velocity {velocity}"
            + (
                f" ({count} of {len(plan.notes) * plan.options.round_robins} filtered)"
                if count
                else ""
            )
            for (low, high), velocity, count in zip(
                plan.options.velocity_ranges, velocities, n_darkened, strict=True
            )
        )
    if plan.options.round_robins > 1:
        last = settings.seed + plan.options.round_robins - 1
        variation = max(settings.variation, ALTERNATIVE_VARIATION)
        facts["round_robins"] = (
            f"seeds {settings.seed}-{last}, variation {variation:g} from the second"
        )
    return facts


def _cut(samples: Samples, plan: InstrumentPlan, sample_rate: int) -> Samples:
    """At most the length planned, [C, T]."""
    return (
        samples
        if plan.options.length_s is None
        else samples[:, : round(plan.options.length_s * sample_rate)]
    )


def _no_brighter(samples: Samples, louder: Samples, sample_rate: int) -> tuple[Samples, bool]:
    """A softer layer as rendered, or made of the louder one where the model made it brighter."""
    limit_hz = _centroid_hz(louder, sample_rate)
    if _centroid_hz(samples, sample_rate) <= limit_hz:
        return samples, False
    corner_hz = min(_DARKENING * limit_hz, 0.45 * sample_rate)
    low_pass = butter(1, corner_hz, fs=sample_rate, output="sos")
    return sosfilt(low_pass, louder, axis=-1).astype(np.float32), True


def _centroid_hz(samples: Samples, sample_rate: int) -> float:
    """Centroid of the power spectrum of the mean of the channels: how bright a note is."""
    n_fft = scipy.fft.next_fast_len(samples.shape[1], real=True)
    power = np.square(np.abs(scipy.fft.rfft(samples.mean(axis=0), n_fft)))
    frequency_hz = np.arange(len(power)) * (sample_rate / n_fft)
    return float(power @ frequency_hz) / (float(power.sum()) + 1e-12)


def _sustains(
    notes: Sequence[Samples], plan: InstrumentPlan, sample_rate: int
) -> tuple[float | None, str]:
    """Whether a sound is looped: an instrument sustains or decays as a whole.

    Returns:
        How much level its notes may lose, dB/s, None without loops; and why there are none.
    """
    if not plan.options.loop:
        return None, "not asked for"
    sustains = [
        find_sustain(samples, sample_rate, midi_to_hz(note))
        for note, samples in zip(plan.notes, notes, strict=True)
    ]
    reasons = [reason for each in sustains if (reason := each.why_no_loop())]
    if 2 * len(reasons) > len(sustains):
        return None, f"none, as for most notes {sorted(reasons)[len(reasons) // 2]}"
    return _LENIENT_DB_S, ""


def _finish(
    samples: Samples, note: int, steepest_db_s: float | None, plan: InstrumentPlan, sample_rate: int
) -> FinishedNote:
    """Loop a note or fade it out, and measure it."""
    looped = None
    if steepest_db_s is not None:
        looped = find_loop(samples, sample_rate, midi_to_hz(note), steepest_db_s=steepest_db_s)
    if looped is None:
        length = min(samples.shape[1], round(plan.options.fade_out_s * sample_rate))
        finished = fade(samples, fade_out=length)
    else:
        finished = looped.samples
    return measured(finished, None if looped is None else looped.loop, sample_rate)


def _audible(timbres: Sequence[Timbre], weights: Sequence[float]) -> TimbreMix:
    """The mix without what is not heard, so that a corner is the render of its source alone."""
    heard = [(timbre, weight) for timbre, weight in zip(timbres, weights, strict=True) if weight]
    return TimbreMix(
        timbres=tuple(timbre for timbre, _ in heard), weights=tuple(weight for _, weight in heard)
    )
