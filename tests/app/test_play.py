from __future__ import annotations

import tempfile
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile

from app.__main__ import main
from app.cli.verbs import play
from core.audio.files import read_audio
from tests.app.fake_engine import FakeEngine
from tests.helpers.pulse import missing_part, pulse_server

BITS_24 = 2.0**-23


def tune(path: Path, *notes: int) -> Path:
    """A MIDI file that plays the notes one after another, half a beat each."""
    track = mido.MidiTrack()
    for note in notes:
        track.append(mido.Message("note_on", note=note, velocity=100))
        track.append(mido.Message("note_off", note=note, time=240))
    file = mido.MidiFile()
    file.tracks.append(track)
    file.save(path)
    return path


def test_a_scale_is_written_and_told(
    engine: FakeEngine, bell: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "scale.wav"
    assert main(["play", str(bell), "--out", str(out), "--rate", "48000"]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    info = soundfile.info(out)
    assert (info.samplerate, info.channels, info.subtype) == (48_000, 2, "PCM_24")
    assert engine.requests[0].notes == (60, 62, 64, 65, 67, 69, 71, 72)
    assert np.max(np.abs(read_audio(out).samples)) > 0.1


def test_a_midi_file_names_the_notes_to_render(
    engine: FakeEngine, bell: Path, tmp_path: Path
) -> None:
    song = tune(tmp_path / "song.mid", 72, 48, 72)
    command = ["play", str(bell), "--midi", str(song), "--out", str(tmp_path / "song.wav")]
    assert main([*command, "--velocity", "33", "--seed", "5", "--carry-over", "0.5"]) == 0
    (request,) = engine.requests
    assert request.notes == (48, 72)
    assert (
        request.sound.settings.velocity,
        request.sound.settings.seed,
        request.sound.settings.carry_over,
    ) == (33, 5, 0.5)


def test_each_note_sounds_at_its_time_and_pitch(
    engine: FakeEngine, bell: Path, tmp_path: Path
) -> None:
    out = tmp_path / "song.wav"
    song = tune(tmp_path / "song.mid", 57, 69)
    assert main(["play", str(bell), "--midi", str(song), "--out", str(out)]) == 0
    sound = read_audio(out).samples[0]
    for start_s, frequency_hz in ((0.0, 220.0), (0.25, 440.0)):
        first = round(start_s * 44_100)
        # The engine's notes last 0.1 s.
        spectrum = np.abs(np.fft.rfft(sound[first : first + 4000] * np.hanning(4000), 44_100))
        assert np.argmax(spectrum) == pytest.approx(frequency_hz, abs=1)


@pytest.mark.audio_device
def test_a_device_hears_the_very_samples_that_a_file_gets(
    engine: FakeEngine, bell: Path, tmp_path: Path
) -> None:
    missing = missing_part()
    if missing:
        pytest.skip(missing)
    out = tmp_path / "song.wav"
    song = tune(tmp_path / "song.mid", 60, 64, 67, 72)
    assert main(["play", str(bell), "--midi", str(song), "--out", str(out)]) == 0
    written = read_audio(out).samples
    with (
        tempfile.TemporaryDirectory() as folder,
        pulse_server(Path(folder)) as server,
        server.recording() as recorder,
    ):
        recorder.read(4410)  # it records
        assert main(["play", str(bell), "--midi", str(song)]) == 0
        heard = recorder.read(written.shape[1] + 44_100)
    start = np.argmax(np.abs(heard[0]) > 0) - np.argmax(np.abs(written[0]) > 0)
    played = heard[:, start : start + written.shape[1]]
    np.testing.assert_allclose(played, written, atol=BITS_24)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("play", "SAMPLE"),
        ("play {bell} --midi {tmp}/none.mid --out {tmp}/x.wav", "none.mid' cannot be read"),
        ("play {bell} --midi {bell} --out {tmp}/x.wav", "it is no MIDI file"),
        ("play {bell} --out {tmp}/x.mp3", "ends in .wav"),
        ("play {bell} --out {tmp}/there.wav", "there.wav exists"),
        ("play {bell} --rate 5 --out {tmp}/x.wav", "'5' is no whole number from 8000"),
        ("play {bell} --audio-device moon", "--out"),
    ],
)
def test_wrong_arguments_end_with_2_before_the_model_loads(
    engine: FakeEngine,
    bell: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: str,
    says: str,
) -> None:
    monkeypatch.setattr(play.PortAudio, "scan", lambda self: ())
    (tmp_path / "there.wav").write_bytes(b"mine")
    assert main(arguments.format(bell=bell, tmp=tmp_path).split()) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert says in captured.err
    assert engine.loaded == []
    assert (tmp_path / "there.wav").read_bytes() == b"mine"
