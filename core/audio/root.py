"""The root of a recording: what is heard, weighed against what its file says.

A clear hearing wins, an unsure one yields to the file. What a file says an octave or more above the
pitch heard is believed where that note does sound: an organ's 16-foot stop and a bass under a lead
are heard first, and their makers name the note that is played. Below it they are not believed: there
are three conventions for the octaves of names.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.audio.file_facts import FileFacts, RootClaim, RootOrigin
from core.audio.pitch import RootEstimate, estimate_root, hz_to_midi, partial_level_db
from core.audio.signal import IsolatedNote

CLEAR = 0.9
"""From this confidence on a hearing needs no advice."""
CLEAR_OF_DEFAULT = 0.75
"""The same against a root that editors write unasked (middle C), if what is heard does sound: a bell's
partials are multiples of many notes."""
NOISE_ROOT = 60.0
"""Root of noise and drums of which nobody says one: middle C."""
SAME_NOTE = 0.6
"""Semitones: what is heard this near to a named note is that note, in or out of tune."""
SOUNDING_DB = -12.0
"""A note that a file names sounds if its partial is this strong, against the strongest of all."""
AUDIBLE_DB = -30.0
"""The same of a note that is heard: most of it may be in its overtones."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Root:
    """The root of a recording and where it is known from."""

    midi_pitch: float
    """Fractional MIDI note."""
    confidence: float
    """How clearly a pitch is heard, 0 (noise) to 1, whatever the root was taken from; 1 where the
    user gave it or a cycle's length tells it."""
    origin: RootOrigin
    is_noise: bool = False
    """Whether there is nothing to be heard of a pitch, whatever the root."""


def find_root(note: IsolatedNote, facts: FileFacts, given: float | None = None) -> Root:
    """The root of a note.

    Args:
        note: The note.
        facts: What its file says.
        given: Its fractional MIDI note where the user knows better.
    """
    if note.cycle_frames is not None:
        heard = RootEstimate(
            midi_pitch=hz_to_midi(note.sample_rate / note.cycle_frames), confidence=1.0
        )
    else:
        heard = estimate_root(note.samples, note.sample_rate)
    if given is not None:
        pitch, confidence, origin = float(given), 1.0, RootOrigin.GIVEN
    elif note.cycle_frames is not None:
        pitch, confidence, origin = heard.midi_pitch, 1.0, RootOrigin.CYCLE
    elif facts.root is not None:
        pitch, origin = _weighed(note, heard, facts.root)
        confidence = heard.confidence
    elif heard.is_noise:
        pitch, confidence, origin = NOISE_ROOT, heard.confidence, RootOrigin.FIXED
    else:
        pitch, confidence, origin = heard.midi_pitch, heard.confidence, RootOrigin.HEARD
    return Root(midi_pitch=pitch, confidence=confidence, origin=origin, is_noise=heard.is_noise)


def _weighed(note: IsolatedNote, heard: RootEstimate, claim: RootClaim) -> tuple[float, RootOrigin]:
    apart = claim.midi_pitch - heard.midi_pitch
    octaves = round(apart / 12.0)
    is_same_class = heard.is_pitched and abs(apart - 12.0 * octaves) <= SAME_NOTE
    if is_same_class and octaves == 0:
        is_heard_believed = True
    elif claim.is_default:
        is_sure = heard.confidence >= CLEAR_OF_DEFAULT and _sounds(
            note, heard.midi_pitch, AUDIBLE_DB
        )
        is_heard_believed = is_sure or heard.confidence >= CLEAR
    else:
        is_above = is_same_class and octaves > 0
        is_heard_believed = heard.confidence >= CLEAR and not (
            is_above and _sounds(note, claim.midi_pitch, SOUNDING_DB)
        )
    if is_heard_believed:
        return heard.midi_pitch, RootOrigin.HEARD
    if is_same_class:  # the file knows the octave, the ear the cents
        return heard.midi_pitch + 12.0 * octaves, claim.origin
    return claim.midi_pitch, claim.origin


def _sounds(note: IsolatedNote, midi_pitch: float, least_db: float) -> bool:
    return partial_level_db(note.samples, note.sample_rate, midi_pitch) >= least_db
