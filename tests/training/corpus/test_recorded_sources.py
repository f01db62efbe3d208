"""NSynth folders, folders of named recordings and SFZ instruments, on fixtures made here."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile

from training.corpus.folder import FolderSource
from training.corpus.nsynth import NSynthSource
from training.corpus.recordings import RecordingsJob
from training.corpus.sfz import read_sfz
from training.corpus.source import N_SAMPLES, CorpusError, NoteGrid, RenderedNote
from training.corpus.splits import pseudo_program, split_of


def write_tone(
    path: Path, midi_pitch: float, *, sample_rate: int = 44100, lead_s: float = 0.0
) -> None:
    """A decaying tone with four harmonics after a silence."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time_s = np.arange(sample_rate) / sample_rate
    f0_hz = librosa.midi_to_hz(midi_pitch)
    tone = sum(np.sin(2 * np.pi * k * f0_hz * time_s) / k for k in range(1, 5)) * np.exp(
        -2 * time_s
    )
    audio = np.concatenate([np.zeros(int(lead_s * sample_rate)), 0.2 * tone])
    soundfile.write(path, audio, sample_rate)


def assert_in_tune(rendered: RenderedNote) -> None:
    assert rendered.audio.shape == (N_SAMPLES,)
    assert rendered.audio.dtype == np.float32
    assert np.abs(rendered.audio).max() == pytest.approx(1.0)
    assert np.argmax(np.abs(rendered.audio) > 0.1) < 1000
    f0_hz = librosa.midi_to_hz(rendered.note.midi_pitch)
    tracked = librosa.yin(
        rendered.audio[500:30000], fmin=f0_hz / 1.5, fmax=f0_hz * 1.5, sr=44100, frame_length=4096
    )
    assert abs(1200 * np.log2(np.median(tracked) / f0_hz)) < 8.0


@pytest.fixture
def nsynth_folder(tmp_path: Path) -> Path:
    examples = {}
    for instrument, pitch in (
        ("organ_electronic_001", 60),
        ("organ_electronic_001", 67),
        ("bass_synthetic_033", 40),
    ):
        name = f"{instrument}-{pitch:03d}-075"
        write_tone(tmp_path / "audio" / f"{name}.wav", pitch, sample_rate=16000)
        examples[name] = {
            "instrument_str": instrument,
            "pitch": pitch,
            "velocity": 75,
            "sample_rate": 16000,
        }
    (tmp_path / "examples.json").write_text(json.dumps(examples))
    return tmp_path


def test_nsynth_notes_by_instrument(nsynth_folder: Path) -> None:
    jobs = NSynthSource(folder=nsynth_folder).jobs()
    assert [job.instrument for job in jobs] == [
        "nsynth/bass_synthetic_033",
        "nsynth/organ_electronic_001",
    ]
    rendered = [note for job in jobs for note in job.render()]
    assert [r.note.midi_pitch for r in rendered] == [40.0, 60.0, 67.0]
    for r in rendered:
        assert r.note.velocity == 75
        assert r.note.source == "nsynth"
        assert r.note.program == pseudo_program(r.note.instrument)
        assert r.note.split is split_of(r.note.program)
        assert_in_tune(r)


def test_nsynth_key_range(nsynth_folder: Path) -> None:
    source = NSynthSource(folder=nsynth_folder, note_low=65, note_high=70)
    assert [len(job.recordings) for job in source.jobs()] == [1]
    with pytest.raises(CorpusError, match="names no note"):
        NSynthSource(folder=nsynth_folder, note_low=100).jobs()


def test_nsynth_missing_and_damaged_index(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"examples\.json"):
        NSynthSource(folder=tmp_path).jobs()
    (tmp_path / "examples.json").write_text('{"a": {"pitch": 1}}')
    with pytest.raises(CorpusError, match="no NSynth index"):
        NSynthSource(folder=tmp_path).jobs()


def test_missing_files_are_left_out_with_a_warning(
    nsynth_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    next((nsynth_folder / "audio").glob("bass*")).unlink()
    with caplog.at_level(logging.WARNING):
        rendered = [
            note for job in NSynthSource(folder=nsynth_folder).jobs() for note in job.render()
        ]
    assert len(rendered) == 2
    assert "bass_synthetic_033" in caplog.text


def test_folder_of_named_recordings(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    write_tone(root / "Kalimba" / "Kalimba_060_C4.wav", 60, lead_s=0.2)
    write_tone(root / "Kalimba" / "Kalimba_072_C5_v40.wav", 72)
    write_tone(root / "Kalimba" / "readme.wav", 50)
    write_tone(root / "Glass" / "Glass-F#3.flac", 54, sample_rate=48000)
    jobs = FolderSource(folder=root, grid=NoteGrid()).jobs()
    assert [job.instrument for job in jobs] == ["mine/Glass", "mine/Kalimba"]
    rendered = [note for job in jobs for note in job.render()]
    assert [(r.note.midi_pitch, r.note.velocity) for r in rendered] == [
        (54.0, 100),
        (60.0, 100),
        (72.0, 40),
    ]
    for r in rendered:
        assert_in_tune(r)


def test_folder_without_instruments(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no instrument"):
        FolderSource(folder=tmp_path, grid=NoteGrid()).jobs()
    with pytest.raises(CorpusError, match="not a folder"):
        FolderSource(folder=tmp_path / "missing", grid=NoteGrid()).jobs()


def test_folder_hash_follows_its_contents(tmp_path: Path) -> None:
    write_tone(tmp_path / "a" / "C4.wav", 60)
    source = FolderSource(folder=tmp_path, grid=NoteGrid())
    before = source.sha256()
    write_tone(tmp_path / "a" / "C4.wav", 60.1)
    assert source.sha256() != before


SFZ = """// a comment
#define $VEL 64
<control> default_path=samples/
<global> lovel=1 /* block
comment */ hivel=127
<group> pitch_keycenter=c4 tune=25
<region> sample=Deep Bell c4.wav lokey=0 hikey=65
<region> sample=hard.wav key=70 pitch_keycenter=69 tune=0 lovel=1 hivel=$VEL
<group> key=72
<region> sample=own.wav
<region> sample=own.wav lovel=100
<region> sample=release.wav trigger=release
<region> sample=thump.wav pitch_keytrack=0
<region> sample=*sine
"""


def test_sfz_regions(tmp_path: Path) -> None:
    path = tmp_path / "bell.sfz"
    path.write_text(SFZ)
    recordings = read_sfz(path)
    assert [
        (r.path.relative_to(tmp_path).as_posix(), r.midi_pitch, r.velocity) for r in recordings
    ] == [
        ("samples/Deep Bell c4.wav", 59.75, 100),
        ("samples/hard.wav", 69.0, 64),
        ("samples/own.wav", 72.0, 100),
    ]


def test_folder_with_sfz_takes_the_map_and_not_the_names(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    write_tone(root / "bell" / "samples" / "Deep Bell c4.wav", 59.75)
    write_tone(root / "bell" / "samples" / "hard.wav", 69)
    write_tone(root / "bell" / "samples" / "own.wav", 72)
    (root / "bell" / "bell.sfz").write_text(SFZ)
    (job,) = FolderSource(folder=root, grid=NoteGrid()).jobs()
    assert isinstance(job, RecordingsJob)
    assert job.instrument == "mine/bell/bell"
    rendered = list(job.render())
    assert [r.note.midi_pitch for r in rendered] == [59.75, 69.0, 72.0]
    for r in rendered:
        assert_in_tune(r)


def test_bad_sfz_names_file_and_value(tmp_path: Path) -> None:
    path = tmp_path / "bad.sfz"
    path.write_text("<region> sample=a.wav pitch_keycenter=H4")
    with pytest.raises(CorpusError, match=r"bad\.sfz.*H4"):
        read_sfz(path)
    with pytest.raises(CorpusError, match="cannot be read"):
        read_sfz(tmp_path / "none.sfz")
