"""What the keys play: the recording itself at once, rendered notes as they come.

The sampler always holds the nearest recording for every key. First that is a source as it was
dropped; each note that the service renders takes its key's place, and when the cursor or a setting
moves, held keys are rendered first and cross over.
"""

from __future__ import annotations

import logging

from PySide6.QtCore import QObject, QTimer, Signal

from app.audio.player import Player
from app.background.render_bridge import RenderBridge
from app.keyboard import NOTES, KeyState
from app.live.first_listen import FirstListen
from app.live.source_library import SourceLibrary
from app.models.document import Document
from app.models.pad import session_weights
from app.models.session import Session, Source
from core.errors import ParameterError
from core.inference.service import NoteFailed, NoteReady, RenderService
from core.instrument import Instrument
from core.sound import Sound, Timbre, TimbreMix

STATES_MS = 33
"""States of the keys are told this long after one of them has changed."""
DEFAULT_NOTE = 60

_log = logging.getLogger(__name__)


class Preview(QObject):
    """Keeps sampler and render service at what the document says.

    *Signals:*
        note_arrived(int): a note of the present sound was rendered.
        states_changed(): other keys are rendered, awaited or failed; at most 30 times a second.
        mix_changed(): other shares of the sources sound.
        compared_changed(): the result is compared with another source.
        chosen_changed(): the person looks at another source.

    *Thread:* GUI.
    """

    note_arrived = Signal(int)
    states_changed = Signal()
    mix_changed = Signal()
    compared_changed = Signal()
    chosen_changed = Signal()

    def __init__(
        self,
        document: Document,
        library: SourceLibrary,
        player: Player,
        service: RenderService,
        bridge: RenderBridge,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._document = document
        self._library = library
        self._player = player
        self._service = service
        self._live: tuple[float, float] | None = None
        self._sound: Sound | None = None
        self._key = ""
        self._ready: dict[int, NoteReady] = {}
        self._failed: set[int] = set()
        self._in_sampler: frozenset[str] = frozenset()  # sources whose sound the keys play
        self._is_loaded = False  # whether the keys play anything
        self._base: object = None  # the recording that was loaded, while no note took its place
        self._plays_original = False
        self._auditioned: str | None = None
        self._recorded: FirstListen | None = None  # the recording that the keys play
        self._beyond: set[int] = set()  # notes played that have no key in the window
        self._focus: int | None = None
        self._chosen: str | None = None
        self._told: Source | None = None  # the compared source that was told last
        self._states_told = QTimer(self, singleShot=True, interval=STATES_MS)
        self._states_told.timeout.connect(self.states_changed)
        self._states_told.start()
        document.subscribe_start(self._start_anew)
        document.subscribe(self._document_changed)
        library.changed.connect(self.refresh)
        bridge.note_ready.connect(self._take)
        bridge.note_failed.connect(self._take_failure)
        service.set_visible(NOTES[0], NOTES[-1])

    @property
    def place(self) -> tuple[float, float]:
        """Where the sound is on the pad: the cursor, or where the path has it."""
        session = self._document.session
        return self._live or (session.x, session.y)

    @property
    def weights(self) -> dict[str, float]:
        """Share of each source by id."""
        return session_weights(self._document.session, *self.place)

    @property
    def sound(self) -> Sound | None:
        """What a note sounds like now; None while no source is known well enough."""
        return self._sound

    @property
    def focus(self) -> int:
        """The note that is looked at: the last one played, else the compared source's root."""
        if self._focus is not None:
            return self._focus
        compared = self.compared
        heard = None if compared is None else self._library.first_listen(compared)
        return DEFAULT_NOTE if heard is None else min(max(round(heard.root_pitch), 21), 108)

    @property
    def loudest(self) -> Source | None:
        """The source with the largest share."""
        weights = self.weights
        sources = self._document.session.sources
        best = max(sources, key=lambda source: weights[source.id], default=None)
        return None if best is None or not weights[best.id] else best

    @property
    def chosen(self) -> str | None:
        """Id of the source that the person looks at; None where none was chosen."""
        return self._chosen

    @property
    def compared(self) -> Source | None:
        """The source that the result is compared with: the chosen one, else the loudest."""
        return self._source(self._chosen) or self.loudest

    @property
    def is_complete(self) -> bool:
        """Whether every key is rendered or has failed."""
        rendered = sum(not ready.is_draft for ready in self._ready.values())
        return self._sound is not None and rendered + len(self._failed) >= len(NOTES)

    def note(self, note: int) -> NoteReady | None:
        """A note of the present sound, perhaps a draft; None while nothing of it is rendered."""
        return self._ready.get(note)

    def key_states(self) -> dict[int, KeyState]:
        """How far each key is."""
        if self._sound is None:
            return {}
        states = dict.fromkeys(NOTES, KeyState.PENDING)
        states |= dict.fromkeys(self._ready, KeyState.RENDERED)
        return states | dict.fromkeys(self._failed, KeyState.FAILED)

    def sound_of(self, session: Session, x: float, y: float) -> Sound | None:
        """What a note of a session sounds like at a place; None while its sources are unknown."""
        weights = session_weights(session, x, y)
        known = [
            (timbre, weights[source.id])
            for source in session.sources
            if weights[source.id] > 0.0 and (timbre := self._library.timbre(source)) is not None
        ]
        return sound_of_mix(known, session)

    def choose(self, source_id: str) -> None:
        """Look at a source: the result is compared with it from now on."""
        self._chosen = source_id
        self.chosen_changed.emit()
        self._follow_compared()

    def strike(self, note: int) -> None:
        """A key was played: it is looked at and, if need be, rendered next."""
        self._focus = note
        if note not in NOTES:
            self._beyond.add(note)
        self._ask()

    def move_live(self, place: tuple[float, float] | None) -> None:
        """Let the sound follow a path without touching the document; None goes back to it."""
        self._live = place
        self.refresh()

    def play_original(self, is_on: bool) -> None:
        """Let the keys play the compared source as it was recorded, at the result's loudness."""
        self._plays_original = is_on
        self._play_recording()

    def audition(self, source_id: str | None) -> None:
        """Let the keys play a source as it was recorded, whatever is compared; None ends it."""
        self._auditioned = source_id
        self._play_recording()

    def refresh(self) -> None:
        """Bring everything to what the document says now."""
        self.mix_changed.emit()
        if self._recorded is None:
            self._load_base()
        session = self._document.session
        self._sound = self.sound_of(session, *self.place)
        key = "" if self._sound is None else self._sound.key
        if key != self._key:
            self._key = key
            self._ready.clear()
            self._failed.clear()
            self._tell_states()
            self._ask()
        self._follow_compared()

    def _play_recording(self) -> None:
        """Load the recording that is to be heard; without one the keys play the result again."""
        source = self._source(self._auditioned)
        if source is None and self._plays_original:
            source = self.compared
        heard = None if source is None else self._library.first_listen(source)
        if heard is self._recorded:
            return
        self._recorded = heard
        if source is not None and heard is not None:
            self._load(heard.instrument(self._matching_gain(source)))
        else:
            self._service.preview(None, ())  # notes handed out before are handed out again
            self._key, self._in_sampler = "", frozenset()
            self.refresh()

    def _follow_compared(self) -> None:
        """Play and tell the compared source as it is now."""
        self._play_recording()
        compared = self.compared
        if compared != self._told:
            self._told = compared
            self.compared_changed.emit()

    def _source(self, source_id: str | None) -> Source | None:
        sources = self._document.session.sources
        return next((source for source in sources if source.id == source_id), None)

    def _start_anew(self) -> None:
        """Another session is there: nothing that was looked at or played stays."""
        self._chosen = self._focus = self._live = self._auditioned = None
        self._beyond.clear()
        self._plays_original = False
        self._recorded = self._base = None
        self._key, self._in_sampler = "", frozenset()
        self._ready.clear()
        self._failed.clear()
        self._tell_states()
        self._service.preview(None, ())
        if self._is_loaded:
            self._player.load(None)
            self._is_loaded = False
        self.chosen_changed.emit()
        self.refresh()

    def _document_changed(self, before: Session, after: Session) -> None:
        if self._chosen is not None and self._source(self._chosen) is None:
            self._chosen = None
            self.chosen_changed.emit()
        if after.envelope != before.envelope:
            self._player.set_envelope(after.envelope)
        if after.gain_db != before.gain_db:
            self._player.set_gain(10.0 ** (after.gain_db / 20.0))
        if _heard(after) != _heard(before):
            self.refresh()

    def _load_base(self) -> None:
        """Where the keys know none of the sources that sound now, the loudest one is loaded."""
        weights = self.weights
        sounding = frozenset(source_id for source_id, weight in weights.items() if weight > 0.0)
        if not sounding:
            if self._is_loaded:
                self._player.load(None)
                self._is_loaded = False
            self._in_sampler, self._base = sounding, None
            return
        loudest = self.loudest
        assert loudest is not None
        heard = self._library.first_listen(loudest)
        is_replaced = self._base is not None and self._base is not heard and not self._ready
        if heard is not None and (not sounding & self._in_sampler or is_replaced):
            self._load(heard.instrument())
            self._base = heard
        elif heard is None and not sounding & self._in_sampler:
            return
        self._in_sampler = sounding

    def _load(self, instrument: Instrument) -> None:
        self._player.load(instrument)
        self._is_loaded = True

    def _ask(self) -> None:
        """Have every key rendered, the one looked at first and then by distance from it.

        While the sound moves the service renders that one and the held ones alone.
        """
        focus = self.focus
        notes = sorted({*NOTES, *self._beyond, focus}, key=lambda note: (abs(note - focus), note))
        self._service.preview(self._sound, notes, urgent=(focus,))

    def _take(self, ready: NoteReady) -> None:
        if self._recorded is None and self._in_sampler:
            self._play(ready)
        if ready.sound_key == self._key:
            self._ready[ready.note] = ready
            self._failed.discard(ready.note)
            self.note_arrived.emit(ready.note)
            self._tell_states()

    def _play(self, ready: NoteReady) -> None:
        """Let a key play what was rendered for it."""
        try:
            self._player.set_zone(ready.region, ready.sample_rate)
        except ParameterError:  # the audio side has not given old recordings back
            _log.warning("Note %d found no room in the sampler.", ready.note)
        self._base = None

    def _take_failure(self, failed: NoteFailed) -> None:
        if failed.sound_key == self._key:
            self._failed.add(failed.note)
            _log.error("Note %d failed: %s", failed.note, failed.message)
            self._tell_states()

    def _tell_states(self) -> None:
        if not self._states_told.isActive():
            self._states_told.start()

    def _matching_gain(self, source: Source) -> float:
        """Linear gain that brings a source to the loudness of the mix, as far as its peak lets."""
        own = self._library.timbre(source)
        if own is None or self._sound is None:
            return 1.0
        mix = self._sound.mix.at(own.root_pitch)
        wanted_db = sum(
            weight * timbre.loudness_db
            for timbre, weight in zip(mix.timbres, mix.weights, strict=True)
        )
        return float(min(1.0, 10.0 ** ((wanted_db - own.loudness_db) / 20.0)))


def sound_of_mix(known: list[tuple[Timbre, float]], session: Session) -> Sound | None:
    """The sound of a mix, rendered as a session has it; None without timbres.

    Args:
        known: Timbres with their shares above 0.
        session: Says how they are rendered and whether they are one instrument.
    """
    if not known:
        return None
    mix = TimbreMix(
        timbres=tuple(timbre for timbre, _ in known),
        weights=tuple(share for _, share in known),
        one_instrument=session.one_instrument and len(known) > 1,
    )
    return Sound(mix=mix, settings=session.settings)


def _heard(session: Session) -> tuple[object, ...]:
    """The parts of a session that rendered notes depend on."""
    return session.sources, session.x, session.y, session.settings, session.one_instrument
