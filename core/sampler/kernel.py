"""The audio side: machine code that PortAudio calls, and that ``Sampler.render`` calls as well.

It never allocates, locks, waits or takes the GIL; all it knows is the record of
``core.sampler.layout`` behind ``user_data``. Everything that changes over time is counted in
frames since the start, never in blocks, so that any block size gives the same audio.

All compiled code is in this file, for Numba's cache looks at the date of this file alone; what it
takes from ``layout.py`` is told apart by the layout's fingerprint.

Shape legend: n frames of one piece, at most CONTROL_FRAMES.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from core.sampler.layout import (
    BANDS,
    BANDS_PER_OCTAVE,
    CONTROL_FRAMES,
    FRACTION_BITS,
    LAYOUT,
    NOTHING_WAITS,
    PEAK_BLOCKS,
    PHASES,
    RING_EVENTS,
    SILENCE,
    SLOTS,
    STATE,
    EventKind,
    Stage,
)

KILL_S = 0.004
"""Fade of a note that is stolen, struck again or silenced by panic."""
RAMP_S = 0.001
"""Shortest attack of a recording that does not start from silence."""
GLIDE_S = 0.01
"""Shortest change of a level that is held; also the ramp of the master gain."""
CURVE = 0.001
"""How far exponential segments aim beyond their end, as a share of their height: -60 dB."""
VIBRATO_HZ = 5.5
VIBRATO_SEMITONES = 0.5
"""Depth at full mod wheel, either way."""
FOLLOW = 0.3
"""Share of the way to its target that a bend covers per control period."""
LIMITER_THRESHOLD = 10.0 ** (-3.0 / 20.0)
"""The limiter leaves what stays below as it is."""
LIMITER_RELEASE_S = 0.1

_ONE = 1 << FRACTION_BITS
_FRACTION_MASK = _ONE - 1
_PHASE_SHIFT = FRACTION_BITS - int(math.log2(PHASES))
_PHASE_MASK = (1 << _PHASE_SHIFT) - 1
_PHASE_SCALE = np.float32(1.0 / (1 << _PHASE_SHIFT))
_BAND_RATIO = 2.0 ** (1.0 / BANDS_PER_OCTAVE)
_FOREVER = 1 << 60
_CURVE_LOG = math.log((1.0 + CURVE) / CURVE)

Function = TypeVar("Function", bound=Callable[..., object])


def _compiled(function: Function) -> Function:
    """Machine code that keeps the order of sums, so that a result depends on nothing else."""
    compiled: Function = numba.njit(error_model="numpy", fastmath={"contract"})(function)
    return compiled


def _compiled_sum(function: Function) -> Function:
    """Machine code that adds in any order that is fast, always in the same."""
    compiled: Function = numba.njit(error_model="numpy", fastmath={"contract", "reassoc", "nsz"})(
        function
    )
    return compiled


@intrinsic  # type: ignore[untyped-decorator]
def _floats_at(_typing: Any, _address: Any) -> Any:
    """The address as a pointer to float32."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        pointer = context.get_value_type(types.CPointer(types.float32))
        return builder.inttoptr(arguments[0], pointer)

    return types.CPointer(types.float32)(types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def _fence(_typing: Any) -> Any:
    """No read or write moves across: what was written before is seen before."""

    def generate(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        builder.fence("seq_cst")
        return ir.Constant(ir.IntType(32), 0)

    return types.int32(), generate


# --- recordings and voices ---


@_compiled
def _use(state: Any, recording: int) -> None:
    if recording >= 0:
        state.recordings[recording].users += 1


@_compiled
def _give_up(state: Any, recording: int) -> None:
    """A voice lets go of a recording; the last one gives it back if it is retired."""
    if recording >= 0:
        held = state.recordings[recording]
        held.users -= 1
        if held.users == 0 and held.is_retired:
            _fence()
            held.is_returned = 1


@_compiled
def _free(state: Any, voice: Any) -> None:
    _give_up(state, voice.recording)
    _give_up(state, voice.next_recording)
    voice.recording = SILENCE
    voice.next_recording = NOTHING_WAITS


@_compiled
def _is_active(voice: Any) -> bool:
    return voice.recording >= 0 and not voice.is_leaving


@_compiled
def _count_active(state: Any) -> int:
    count = 0
    for slot in range(SLOTS):
        if _is_active(state.voices[slot]):
            count += 1
    return count


@_compiled
def _is_silent(state: Any) -> bool:
    busy = 0
    for slot in range(SLOTS):
        if state.voices[slot].recording >= 0:
            busy += 1
    return busy == 0


@_compiled
def _free_slot(state: Any) -> int:
    for slot in range(SLOTS):
        if state.voices[slot].recording < 0:
            return slot
    return -1


@_compiled
def _quarter_sine(way: float) -> float:
    """sin(way · π/2) for 0–1, within 4e-6: its Taylor series."""
    square = way * way
    series = 0.0796926262 + square * (-0.0046817541 + square * 0.0001604412)
    return way * (1.5707963268 + square * (-0.6459640975 + square * series))


@_compiled
def _fade_gain(voice: Any, done: int) -> float:
    """Gain of a voice's fade after some frames: in as a sine, out as a cosine.

    Two sounds of equal power and correlation r, the one fading in by sin θ and the other out by
    cos θ, have the power 1 + 2 r sin θ cos θ together. Divided by its root, both halves keep the
    level, whether they are the same sound (r = 1) or strangers (0).
    """
    if voice.fade_length == 0:
        return 1.0
    way = (done + 0.5) / voice.fade_length
    rising = _quarter_sine(way)
    falling = _quarter_sine(1.0 - way)
    power = 1.0 + 2.0 * voice.fade_likeness * rising * falling
    gain: float = voice.fade_scale * (falling if voice.is_leaving else rising) / math.sqrt(power)
    return gain


@_compiled
def _leave(state: Any, voice: Any, frames: int) -> None:
    """Fade a voice out, from where it is; it no longer counts."""
    if voice.travel == 0:
        _free(state, voice)  # nobody has heard it
        return
    if voice.is_leaving and voice.fade_length - voice.fade_done <= frames:
        return
    voice.fade_scale = _fade_gain(voice, voice.fade_done)
    voice.fade_done = 0
    voice.fade_length = frames
    voice.fade_likeness = 0.0
    voice.is_leaving = 1
    _give_up(state, voice.next_recording)
    voice.next_recording = NOTHING_WAITS


@_compiled
def _steal(state: Any, kill_frames: int) -> None:
    """Fade out the quietest released voice, or the oldest of those still held."""
    chosen = -1
    lowest = 0.0
    is_chosen_released = False
    for slot in range(SLOTS):
        voice = state.voices[slot]
        if not _is_active(voice):
            continue
        is_released = voice.stage == Stage.RELEASE
        rank = voice.level * voice.gain if is_released else float(voice.serial)
        if (
            chosen < 0
            or (is_released and not is_chosen_released)
            or (is_released == is_chosen_released and rank < lowest)
        ):
            chosen, lowest, is_chosen_released = slot, rank, is_released
    voice = state.voices[chosen]
    serial = voice.serial
    for slot in range(SLOTS):  # the old half of its crossfade goes with it
        voice = state.voices[slot]
        if voice.recording >= 0 and voice.serial == serial:
            _leave(state, voice, kill_frames)


@_compiled
def _begin(state: Any, voice: Any, recording: int) -> None:
    """Play a recording that is already counted as used, from its start."""
    played = state.recordings[recording]
    voice.recording = recording
    voice.base_rate = played.rate * 2.0 ** ((voice.key - played.root_note) / 12.0)
    voice.position = 0
    voice.travel = 0
    voice.level = 0.0
    _start_attack(state, voice, 0.0 if played.starts_silent else RAMP_S)


@_compiled
def _switch(state: Any, voice: Any) -> None:
    """Crossfade to the recording that waits, at the same time since the note began."""
    if voice.fade_length > 0:
        return  # one crossfade at a time; the newest recording waits for its end
    waiting = voice.next_recording
    if voice.travel == 0:
        _give_up(state, voice.recording)
        voice.next_recording = NOTHING_WAITS
        if waiting == SILENCE:
            voice.recording = SILENCE
        else:
            _begin(state, voice, waiting)
        return
    if waiting == SILENCE:
        _leave(state, voice, voice.next_fade)
        return
    played = state.recordings[waiting]
    base_rate = played.rate * 2.0 ** ((voice.key - played.root_note) / 12.0)
    travel = int(min(voice.travel * (base_rate / voice.base_rate), float(_FOREVER)))
    end = played.end << FRACTION_BITS
    if travel >= end and played.loop_length == 0:
        _leave(state, voice, voice.next_fade)
        return
    slot = _free_slot(state)
    if slot < 0:
        return  # tried again next control period
    voice.next_recording = NOTHING_WAITS
    state.voices[slot] = voice
    old = state.voices[slot]
    _leave(state, old, voice.next_fade)
    old.fade_likeness = voice.next_likeness
    voice.recording = waiting
    voice.base_rate = base_rate
    voice.travel = travel
    voice.position = travel
    if travel >= end:
        loop = played.loop_length << FRACTION_BITS
        voice.position = end - loop + (travel - end) % loop
    voice.fade_scale = 1.0
    voice.fade_done = 0
    voice.fade_length = voice.next_fade
    voice.fade_likeness = voice.next_likeness


# --- envelope ---


@_compiled
def _hold(voice: Any, level: float) -> None:
    voice.level = level
    voice.factor = 1.0
    voice.offset = 0.0
    voice.stage_left = _FOREVER
    voice.stage_end = level


@_compiled
def _glide(voice: Any, end: float, frames: float) -> None:
    """Exponential segment that arrives exactly."""
    aim = end - (voice.level - end) * CURVE
    voice.stage_left = max(1, int(frames))
    voice.factor = math.exp(-_CURVE_LOG / voice.stage_left)
    voice.offset = aim * (1.0 - voice.factor)
    voice.stage_end = end


@_compiled
def _start_attack(state: Any, voice: Any, least_s: float) -> None:
    """Straight up from the level that the voice has; ``least_s`` is the shortest full attack."""
    voice.stage = Stage.ATTACK
    frames = max(state.attack, least_s * state.sample_rate)
    voice.stage_left = int(frames * (1.0 - voice.level))
    if voice.stage_left == 0:
        _start_decay(state, voice)
        return
    voice.factor = 1.0
    voice.offset = (1.0 - voice.level) / voice.stage_left
    voice.stage_end = 1.0


@_compiled
def _start_decay(state: Any, voice: Any) -> None:
    voice.level = 1.0
    if state.sustain == 1.0:
        voice.stage = Stage.SUSTAIN
        _hold(voice, 1.0)
    else:
        voice.stage = Stage.DECAY
        _glide(voice, state.sustain, max(state.decay, GLIDE_S * state.sample_rate))


@_compiled
def _release(state: Any, voice: Any) -> None:
    voice.stage = Stage.RELEASE
    _glide(voice, 0.0, state.release)


@_compiled
def _follow_envelope(state: Any, voice: Any) -> None:
    """The envelope has changed: go on from the level that the voice has."""
    if voice.stage == Stage.ATTACK:
        _start_attack(state, voice, GLIDE_S)
    elif voice.stage == Stage.DECAY:
        _glide(voice, state.sustain, max(state.decay, GLIDE_S * state.sample_rate))
    elif voice.stage == Stage.SUSTAIN and voice.level != state.sustain:
        voice.stage = Stage.DECAY
        _glide(voice, state.sustain, GLIDE_S * state.sample_rate)
    elif voice.stage == Stage.RELEASE:
        _release(state, voice)


# --- controls ---


@_compiled
def _set_pitch(state: Any) -> None:
    turns = state.frame / state.sample_rate * VIBRATO_HZ
    vibrato = state.mod * VIBRATO_SEMITONES * math.sin(2.0 * math.pi * (turns - math.floor(turns)))
    state.bend_ratio = 2.0 ** (state.bend / 12.0)
    state.pitch_ratio = 2.0 ** ((state.bend + vibrato) / 12.0)


@_compiled
def _start_period(state: Any) -> None:
    """What happens every CONTROL_FRAMES: bend and vibrato move, waiting crossfades start."""
    state.bend += (state.bend_target - state.bend) * FOLLOW
    state.mod += (state.mod_target - state.mod) * FOLLOW
    if abs(state.bend_target - state.bend) < 1e-4:
        state.bend = state.bend_target
    if abs(state.mod_target - state.mod) < 1e-4:
        state.mod = state.mod_target
    _set_pitch(state)
    for slot in range(SLOTS):
        voice = state.voices[slot]
        if voice.recording >= 0 and voice.next_recording != NOTHING_WAITS:
            _switch(state, voice)


@_compiled
def _skip_glides(state: Any) -> None:
    """Before the first note: nobody hears how the controls get where they are."""
    state.bend = state.bend_target
    state.mod = state.mod_target
    state.gain = state.gain_target
    state.gain_left = 0
    _set_pitch(state)


# --- events ---


@_compiled
def _note_on(state: Any, event: Any) -> bool:
    """Start a voice; False if it must wait for a fade to end."""
    if _is_silent(state):
        _skip_glides(state)
    kill_frames = int(KILL_S * state.sample_rate)
    for slot in range(SLOTS):
        voice = state.voices[slot]
        if voice.recording >= 0 and voice.key == event.key:
            _leave(state, voice, kill_frames)
    if _count_active(state) >= state.max_voices:
        _steal(state, kill_frames)
    slot = _free_slot(state)
    if slot < 0:
        return False
    voice = state.voices[slot]
    state.serial += 1
    voice.serial = state.serial
    voice.key = event.key
    voice.is_held = 1
    voice.is_one_shot = state.one_shot
    voice.is_leaving = 0
    voice.gain = event.values[0]
    voice.fade_length = 0
    voice.next_recording = NOTHING_WAITS
    _use(state, event.recording)
    _begin(state, voice, event.recording)
    return True


@_compiled
def _let_go(state: Any, is_everything: bool, key: int) -> None:
    """Keys up: one of them, or all of them with the pedal and one-shots."""
    for slot in range(SLOTS):
        voice = state.voices[slot]
        if voice.recording < 0 or voice.stage == Stage.RELEASE:
            continue
        if is_everything or voice.key == key:
            voice.is_held = 0
            if is_everything or not (voice.is_one_shot or state.pedal):
                _release(state, voice)


@_compiled
def _move_pedal(state: Any, is_down: bool) -> None:
    state.pedal = is_down
    for slot in range(SLOTS):
        voice = state.voices[slot]
        is_waiting = voice.recording >= 0 and not (voice.is_held or voice.is_one_shot)
        if not is_down and is_waiting and voice.stage != Stage.RELEASE:
            _release(state, voice)


@_compiled
def _switch_key(state: Any, event: Any) -> None:
    for slot in range(SLOTS):
        voice = state.voices[slot]
        if _is_active(voice) and voice.key == event.key:
            _give_up(state, voice.next_recording)
            _use(state, event.recording)
            voice.next_recording = event.recording
            voice.next_fade = int(event.values[0])
            voice.next_likeness = event.values[1]
            _switch(state, voice)


@_compiled
def _apply(state: Any, event: Any) -> bool:
    """Do what an event asks for; False if it must wait."""
    kind = event.kind
    value = event.values[0]
    if kind == EventKind.NOTE_ON:
        return _note_on(state, event)
    if kind == EventKind.NOTE_OFF:
        _let_go(state, False, event.key)
    elif kind == EventKind.SUSTAIN:
        _move_pedal(state, value != 0.0)
    elif kind == EventKind.PITCH_BEND:
        state.bend_target = value
    elif kind == EventKind.MOD_WHEEL:
        state.mod_target = value
    elif kind == EventKind.ENVELOPE:
        state.attack = value
        state.decay = event.values[1]
        state.sustain = event.values[2]
        state.release = event.values[3]
        for slot in range(SLOTS):
            voice = state.voices[slot]
            if _is_active(voice):
                _follow_envelope(state, voice)
    elif kind == EventKind.GAIN:
        state.gain_target = value
        state.gain_left = max(1, int(GLIDE_S * state.sample_rate))
        state.gain_step = (value - state.gain) / state.gain_left
    elif kind == EventKind.ONE_SHOT:
        state.one_shot = value != 0.0
    elif kind == EventKind.RELEASE_ALL:
        state.pedal = 0
        _let_go(state, True, 0)
    elif kind == EventKind.PANIC:
        state.pedal = 0
        for slot in range(SLOTS):
            if state.voices[slot].recording >= 0:
                _leave(state, state.voices[slot], int(KILL_S * state.sample_rate))
    elif kind == EventKind.SWITCH:
        _switch_key(state, event)
    elif kind == EventKind.RETIRE:
        recording = state.recordings[event.recording]
        recording.is_retired = 1
        if recording.users == 0:
            _fence()
            recording.is_returned = 1
    return True


@_compiled
def _take_events(state: Any) -> None:
    head = state.head
    _fence()
    tail = state.tail
    while tail < head:
        if not _apply(state, state.events[tail % RING_EVENTS]):
            state.late_events += 1
            break
        tail += 1
    _fence()
    state.tail = tail


# --- sound ---


@_compiled_sum
def _weigh(row: Any, next_row: Any, window: Any, fraction: np.float32, taps: int) -> np.float32:
    """One value between frames: filter rows blended by ``fraction``, times the frames."""
    total = np.float32(0.0)
    for tap in range(taps):
        total += (row[tap] + fraction * (next_row[tap] - row[tap])) * window[tap]
    return total


@_compiled
def _read(state: Any, address: int, position: int, increment: int, band: Any, n: int) -> None:
    """Fill ``state.wave`` from one channel of a recording."""
    wave = state.wave
    if increment == _ONE and position & _FRACTION_MASK == 0:
        # What the filter gives at whole positions, to the bit.
        frames = numba.carray(_floats_at(address + 4 * (position >> FRACTION_BITS)), (n,))
        for k in range(n):
            wave[k] = frames[k]
        return
    taps = band.taps
    first = address - 4 * (taps // 2 - 1)
    for k in range(n):
        phase = (position & _FRACTION_MASK) >> _PHASE_SHIFT
        fraction = np.float32(position & _PHASE_MASK) * _PHASE_SCALE
        row_address = band.address + 4 * taps * phase
        row = numba.carray(_floats_at(row_address), (taps,))
        next_row = numba.carray(_floats_at(row_address + 4 * taps), (taps,))
        window = numba.carray(_floats_at(first + 4 * (position >> FRACTION_BITS)), (taps,))
        wave[k] = _weigh(row, next_row, window, fraction, taps)
        position += increment


@_compiled
def _fill_gains(state: Any, voice: Any, n: int) -> None:
    """Envelope, velocity and fade of the next frames into ``state.gains``."""
    gains = state.gains
    level = voice.level
    if voice.factor == 1.0 and voice.offset == 0.0:
        for k in range(n):
            gains[k] = level * voice.gain
    else:
        factor = voice.factor
        offset = voice.offset
        for k in range(n):
            gains[k] = level * voice.gain
            level = level * factor + offset
        voice.level = level
    if voice.fade_length > 0:
        for k in range(n):
            gains[k] *= _fade_gain(voice, voice.fade_done + k)


@_compiled
def _mix_piece(state: Any, voice: Any, recording: Any, increment: int, first: int, n: int) -> None:
    """Add the next frames of a voice, during which nothing about it changes, from ``first`` on."""
    rate = voice.base_rate * state.bend_ratio
    chosen = 0
    limit = 1.0 + 1e-9
    while rate > limit and chosen < BANDS - 1:
        chosen += 1
        limit *= _BAND_RATIO
    band = state.bands[chosen]
    _fill_gains(state, voice, n)
    gains = state.gains
    wave = state.wave
    mix = state.mix
    _read(state, recording.address, voice.position, increment, band, n)
    for k in range(n):
        mix[0, first + k] += wave[k] * gains[k]
    if recording.channel_bytes != 0:
        _read(
            state, recording.address + recording.channel_bytes, voice.position, increment, band, n
        )
    for k in range(n):
        mix[1, first + k] += wave[k] * gains[k]


@_compiled
def _mix_voice(state: Any, voice: Any, n: int) -> None:
    """Add n frames of a voice, from one change of it to the next."""
    recording = state.recordings[voice.recording]
    increment = int(voice.base_rate * state.pitch_ratio * _ONE + 0.5)
    end = recording.end << FRACTION_BITS
    done = 0
    while done < n:
        piece = min(n - done, voice.stage_left, (end - voice.position + increment - 1) // increment)
        if voice.fade_length > 0:
            piece = min(piece, voice.fade_length - voice.fade_done)
        _mix_piece(state, voice, recording, increment, done, piece)
        done += piece
        voice.position += piece * increment
        voice.travel = min(voice.travel + piece * increment, _FOREVER)
        voice.stage_left -= piece
        if voice.fade_length > 0:
            voice.fade_done += piece
            if voice.fade_done == voice.fade_length:
                if voice.is_leaving:
                    _free(state, voice)
                    return
                voice.fade_length = 0
        if voice.position >= end:
            if recording.loop_length == 0:
                _free(state, voice)
                return
            loop = recording.loop_length << FRACTION_BITS
            voice.position = end - loop + (voice.position - end) % loop
            if voice.is_one_shot and voice.stage != Stage.RELEASE:
                _release(state, voice)
        if voice.stage_left == 0:
            voice.level = voice.stage_end
            if voice.stage == Stage.ATTACK:
                _start_decay(state, voice)
            elif voice.stage == Stage.DECAY:
                voice.stage = Stage.SUSTAIN
                _hold(voice, voice.stage_end)
            else:
                _free(state, voice)
                return


@_compiled
def _finish(state: Any, out: Any, first: int, n: int, peaks: Any) -> None:
    """Master gain and limiter, from ``state.mix`` into the block.

    The limiter's gain follows the larger channel's peak, at once upwards and slowly downwards, so
    the output stays below 1 without looking ahead.
    """
    mix = state.mix
    fall = math.exp(-1.0 / (LIMITER_RELEASE_S * state.sample_rate))
    loudness = state.loudness
    room = 1.0 - LIMITER_THRESHOLD
    for k in range(n):
        left = mix[0, k] * state.gain
        right = mix[1, k] * state.gain
        if not abs(left) < 1e6:  # not a number
            left = 0.0
        if not abs(right) < 1e6:
            right = 0.0
        if state.gain_left > 0:
            state.gain += state.gain_step
            state.gain_left -= 1
            if state.gain_left == 0:
                state.gain = state.gain_target
        loudness = max(LIMITER_THRESHOLD, loudness * fall, abs(left), abs(right))
        over = (loudness - LIMITER_THRESHOLD) / room
        limit = (LIMITER_THRESHOLD + room * over / (1.0 + over)) / loudness
        left *= limit
        right *= limit
        out[first + k, 0] = left
        out[first + k, 1] = right
        peaks[0] = max(peaks[0], abs(out[first + k, 0]))
        peaks[1] = max(peaks[1], abs(out[first + k, 1]))
    state.loudness = loudness


@_compiled
def _render(state: Any, out: Any, frames: int) -> None:
    """One block, interleaved stereo [frames, 2]."""
    _take_events(state)
    peaks = state.peaks[state.blocks % PEAK_BLOCKS]
    peaks[:] = 0.0
    done = 0
    while done < frames:
        into_period = state.frame % CONTROL_FRAMES
        if into_period == 0:
            _start_period(state)
        n = min(frames - done, CONTROL_FRAMES - into_period)
        state.mix[:] = 0.0
        for slot in range(SLOTS):
            voice = state.voices[slot]
            if voice.recording >= 0:
                _mix_voice(state, voice, n)
        _finish(state, out, done, n, peaks)
        state.frame += n
        done += n
    state.active_voices = _count_active(state)
    _fence()
    state.blocks += 1


OUTPUT_UNDERFLOW = 4
"""PortAudio's paOutputUnderflow."""
PA_ABORT = 2
"""PortAudio's paAbort: the stream ends."""
_STATE_POINTER = types.CPointer(numba.from_dtype(STATE))
_UNSIGNED_LONG = numba.from_dtype(np.dtype("L"))


@cache
def compile_callback() -> Any:
    """The machine code of a PaStreamCallback; takes seconds, or a moment where Numba has it.

    Returns:
        A Numba ``CFunc``; its ``address`` lasts as long as it.
    """
    layout = LAYOUT  # a closure: Numba's cache is keyed by what it holds

    def callback(
        _input: Any, output: Any, frames: Any, _time: Any, flags: Any, user_data: Any
    ) -> int:
        state = numba.carray(user_data, 1)[0]
        if state.layout != layout:
            return PA_ABORT
        if flags & OUTPUT_UNDERFLOW:
            state.underruns += 1
        _render(state, numba.carray(output, (frames, 2)), int(frames))
        return 0  # paContinue

    signature = types.intc(
        types.voidptr,
        types.CPointer(types.float32),
        _UNSIGNED_LONG,
        types.voidptr,
        _UNSIGNED_LONG,
        _STATE_POINTER,
    )
    return numba.cfunc(signature, cache=True)(callback)


@cache
def compile_fence() -> Any:
    """A function for the control side: what was written before is seen before."""

    def fence() -> None:
        _fence()

    return numba.cfunc(types.void(), cache=True)(fence)
