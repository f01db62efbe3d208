"""What an SFZ file says: enough of the format to know its key map.

Headers inherit downwards, later opcodes win. ``#define`` and ``#include`` are not followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from core.audio.pitch import parse_note
from core.errors import ParameterError
from core.verify.contents import Contents, Place, Zone, range_faults, unreadable
from core.verify.sources import SampleFolder, Samples, read_text

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_TOKEN = re.compile(r"<(\w+)>|(\w+)=((?:(?!\s+\w+=|<\w+>)[^\n])*)")
_LEVELS = ("global", "master", "group", "region")
_FADE = re.compile(r"xf(in|out)_(lo|hi)cc(\d+)")

Opcodes = Mapping[str, str]


def read_sfz(path: Path) -> Contents:
    """The key map of an SFZ file beside its samples.

    Raises:
        AudioFileError: It cannot be read as text.
    """
    text = _COMMENT.sub(" ", read_text(path))
    if "#define" in text or "#include" in text:
        return unreadable(f"'{path.name}' uses #define or #include, which is not followed.")
    samples = SampleFolder(path.parent)
    zones: list[Zone] = []
    faults: list[str] = []
    for opcodes in _regions(text):
        name = _sample_path(opcodes)
        if name.startswith("*"):
            continue
        try:
            zone = _zone(name, opcodes, samples)
        except (ParameterError, ValueError) as error:
            faults.append(f"A region of '{name}' cannot be understood: {error}")
            continue
        problem = samples.problem(name)
        wrong = range_faults(zone) + ([f"'{name}' {problem}."] if problem else [])
        faults += wrong
        if not wrong:
            zones.append(zone)
    if not zones and not faults:
        faults.append(f"'{path.name}' has no region with a sample.")
    return Contents(zones=tuple(zones), faults=tuple(faults))


def in_memory_text(path: Path) -> str:
    """The text of an SFZ file, with the wish that sfizz reads the samples whole.

    It streams them from the disk otherwise, and a render faster than real time loses tails.

    Raises:
        AudioFileError: It cannot be read as text.
    """
    return f"<control> hint_ram_based=1\n{read_text(path)}"


def first_parts(path: Path) -> set[str]:
    """First components of all relative paths that an SFZ file names.

    Raises:
        AudioFileError: It cannot be read as text.
    """
    names = map(_sample_path, _regions(_COMMENT.sub(" ", read_text(path))))
    return {name.split("/")[0] for name in names if name and name[0] not in "*/."}


def _sample_path(opcodes: Opcodes) -> str:
    return opcodes.get("default_path", "") + opcodes.get("sample", "")


def _regions(text: str) -> Iterator[Opcodes]:
    """Opcodes of each region, inherited ones included."""
    own: dict[str, dict[str, str]] = {level: {} for level in ("control", *_LEVELS)}
    header = ""
    for match in _TOKEN.finditer(text):
        name, opcode, value = match.groups()
        if name is None:
            own.setdefault(header, {})[opcode] = value.strip()
            continue
        if header == "region":
            yield _inherited(own)
        header = name
        for level in _LEVELS[_LEVELS.index(name) :] if name in _LEVELS else ():
            own[level] = {}
    if header == "region":
        yield _inherited(own)


def _inherited(own: Mapping[str, Mapping[str, str]]) -> Opcodes:
    merged = {k: v for k, v in own["control"].items() if k == "default_path"}
    for level in _LEVELS:
        merged.update(own[level])
    return merged


def _zone(name: str, opcodes: Opcodes, samples: Samples) -> Zone:
    def key(opcode: str, default: int) -> int:
        return parse_note(opcodes[opcode]) if opcode in opcodes else default

    def integer(opcode: str, default: int) -> int:
        return int(opcodes.get(opcode, default))

    one = key("key", -1)
    loop = None
    if opcodes.get("loop_mode", "").startswith("loop_") and "loop_end" in opcodes:
        loop = (integer("loop_start", 0), integer("loop_end", 0) + 1)
    return Zone(
        sample=name,
        root_note=key("pitch_keycenter", one if one >= 0 else 60),
        low_key=key("lokey", max(one, 0)),
        high_key=key("hikey", one if one >= 0 else 127),
        low_velocity=integer("lovel", 1),
        high_velocity=integer("hivel", 127),
        round_robin=integer("seq_position", 1),
        tune_cents=float(opcodes.get("tune", 0)) + 100 * float(opcodes.get("transpose", 0)),
        loop=loop,
        place=_place(opcodes),
        read=partial(samples.read, name),
    )


def _place(opcodes: Opcodes) -> Place:
    """Controllers at which a region with crossfades is fully heard."""
    full: dict[int, int] = {}
    for opcode, value in opcodes.items():
        match = _FADE.fullmatch(opcode)
        if match and match.groups()[:2] in (("in", "hi"), ("out", "lo")):
            full[int(match[3])] = int(value)
    controllers = tuple(sorted(full.items()))
    name = ", ".join(f"CC {number} = {value}" for number, value in controllers)
    return Place(name=name, controllers=controllers)
