"""The plugin host with real plugins, and what it says where they are missing or misbehave."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.audio.pitch import estimate_root
from core.errors import ParameterError
from training.corpus.plugin_host import PluginError, PluginNote, PluginRequest, render_plugin

PLUGIN = Path("/usr/lib/dssi/amsynth_dssi.so")
SAMPLE_RATE = 44100

needs_plugin = pytest.mark.skipif(
    not PLUGIN.is_file(), reason=f"{PLUGIN} is missing: install the Debian package amsynth"
)


def request(*notes: PluginNote, **settings: object) -> PluginRequest:
    fields = {"plugin": str(PLUGIN), "notes": notes, "n_samples": SAMPLE_RATE, **settings}
    return PluginRequest(**fields)  # type: ignore[arg-type]


@needs_plugin
def test_keys_bends_and_ports_are_heard() -> None:
    notes = (
        PluginNote(midi_note=60, velocity=100),
        PluginNote(midi_note=72, velocity=100, bend=2048),
        PluginNote(midi_note=48, velocity=100, bend=-1024),
    )
    sounds = render_plugin(request(*notes), time_limit_s=60)
    assert sounds.shape == (3, SAMPLE_RATE)
    assert sounds.dtype == np.float32
    pitches = [estimate_root(sound, SAMPLE_RATE).midi_pitch for sound in sounds]
    assert pitches == pytest.approx([60.0, 72.5, 47.75], abs=0.05)
    muted = render_plugin(request(*notes[:1], ports=(("master_vol", 0.0),)), time_limit_s=60)
    assert np.abs(muted).max() < 1e-3 * np.abs(sounds).max()


@needs_plugin
def test_no_note_rings_into_the_next() -> None:
    loud, soft = PluginNote(midi_note=60, velocity=127), PluginNote(midi_note=60, velocity=1)
    ports = (("amp_release", 2.5), ("amp_attack", 1.0), ("amp_vel_sens", 1.0))
    sounds = render_plugin(request(loud, soft, ports=ports), time_limit_s=60)
    assert np.abs(sounds[1, :441]).max() < 1e-3 * np.abs(sounds[0]).max()


@needs_plugin
def test_the_same_request_gives_the_same_sounds() -> None:
    asked = request(PluginNote(midi_note=50, velocity=90), PluginNote(midi_note=62, velocity=90))
    first, again = (render_plugin(asked, time_limit_s=60) for _ in range(2))
    assert np.array_equal(first, again)


@needs_plugin
def test_an_unknown_port_is_named() -> None:
    with pytest.raises(PluginError, match="no port 'wobble'"):
        render_plugin(
            request(PluginNote(midi_note=60, velocity=100), ports=(("wobble", 1.0),)),
            time_limit_s=60,
        )


@needs_plugin
def test_a_plugin_that_takes_too_long_is_ended() -> None:
    endless = request(PluginNote(midi_note=60, velocity=100), n_samples=SAMPLE_RATE * 600)
    with pytest.raises(PluginError, match="did not end within 1 s"):
        render_plugin(endless, time_limit_s=1)


@needs_plugin
def test_a_crash_ends_the_plugin_alone() -> None:
    # The symbol is code instead of a variable: writing there is a segmentation fault.
    wild = request(PluginNote(midi_note=60, velocity=100), seed_symbol="dssi_descriptor")
    with pytest.raises(PluginError, match="crashed \\(SIGSEGV\\)"):
        render_plugin(wild, time_limit_s=60)


def test_a_missing_plugin_and_a_file_that_is_none(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.so"
    foreign.write_text("this is no shared library")
    for path in (tmp_path / "missing.so", foreign):
        with pytest.raises(PluginError, match="no DSSI plugin"):
            render_plugin(
                request(PluginNote(midi_note=60, velocity=100), plugin=str(path)), time_limit_s=60
            )


@pytest.mark.parametrize("wrong", [{"midi_note": 128}, {"velocity": 0}, {"bend": 8192}])
def test_notes_outside_midi_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ParameterError, match="must lie in"):
        PluginNote(**{"midi_note": 60, "velocity": 100, **wrong})
