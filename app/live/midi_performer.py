"""What a MIDI keyboard does to the instrument."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from app.audio.player import Player
from app.background.gui_thread import GuiThread
from app.live.keys import KeyOrigin, Keys


class MidiPerformer:
    """Plays at once, on the MIDI library's thread; moves of the pad go to the GUI's.

    Args:
        keys: Whose keys are pressed.
        player: What bends and sustains.
        gui: Where moves of the pad go.
        move_pad: Told x or y of the cursor, 0–1, the other one being None.
    """

    def __init__(
        self,
        keys: Keys,
        player: Player,
        gui: GuiThread,
        move_pad: Callable[[float | None, float | None], object],
    ) -> None:
        self._keys = keys
        self._player = player
        self._gui = gui
        self._move_pad = move_pad

    def note_on(self, note: int, velocity: int) -> None:
        """A key went down."""
        self._keys.press(KeyOrigin.MIDI, note, velocity)

    def note_off(self, note: int) -> None:
        """A key went up."""
        self._keys.release(KeyOrigin.MIDI, note)

    def set_sustain(self, down: bool) -> None:
        """The pedal moved."""
        self._player.set_sustain(down)

    def set_pitch_bend(self, semitones: float) -> None:
        """The bend wheel moved."""
        self._player.set_pitch_bend(semitones)

    def set_mod_wheel(self, value: float) -> None:
        """The modulation wheel moved."""
        self._player.set_mod_wheel(value)

    def release_all(self) -> None:
        """All keys and the pedal were let go."""
        self._keys.let_go(KeyOrigin.MIDI)
        self._player.set_sustain(False)

    def panic(self) -> None:
        """All sound must end now."""
        self._keys.let_go(KeyOrigin.MIDI)
        self._player.panic()

    def move_pad_x(self, value: float) -> None:
        """The cursor moves across."""
        self._gui.call(partial(self._move_pad, value, None))

    def move_pad_y(self, value: float) -> None:
        """The cursor moves up."""
        self._gui.call(partial(self._move_pad, None, value))
