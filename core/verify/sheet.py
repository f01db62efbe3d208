"""The sheet beside an instrument: what was measured, for programs (JSON) and people (HTML).

The HTML holds its pictures and needs nothing else; all texts in it are escaped.

Shape legend: B bands, F frames.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.audio.pitch import note_name
from core.errors import ExportError
from core.verify.report import FileReport, KeyCheck, Tolerances, VerificationReport

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _BOTTOM, _TOP = 900, 200, 56, 10, 24, 10
_COLOURS = ("#2f7f86", "#b8621b", "#5b4b9a", "#3d7a33")
_RED = "#c62828"
_STOPS = np.array(
    [[6, 6, 20], [54, 18, 92], [140, 34, 120], [222, 74, 92], [252, 160, 92], [252, 250, 200]]
)
"""Colours of a spectrogram from silence to full scale; lightness rises steadily."""
_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;max-width:960px;margin:2em auto;padding:0 1em;color:#222}
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em;border-top:1px solid #ccc;padding-top:1em}
.green{color:#2e7d32}.red{color:#c62828}svg,img{max-width:100%;height:auto}
table{border-collapse:collapse;font-size:13px}td,th{padding:2px 8px;text-align:right}
td:first-child,th:first-child{text-align:left}tr.bad td{background:#fdecea}
figure{margin:1em 0}figcaption{font-size:13px;color:#555}
"""
_HEADS = (
    "key",
    "engine",
    "velocity",
    "cents",
    "level, LUFS",
    "to the next lower, dB",
    "seam",
    "peak, dBFS",
    "what is wrong",
)


def write_sheets(report: VerificationReport) -> list[Path]:
    """Write ``NAME.verify.json`` and ``NAME.verify.html`` beside each instrument.

    Files of one instrument in several formats share their sheets; older sheets are replaced.

    Returns:
        The files written.

    Raises:
        ExportError: The folder may not be written to, or the disk is full.
    """

    def home(file: FileReport) -> tuple[str, str]:
        path = file.path.absolute()
        return str(path.parent), path.name if path.is_dir() else path.stem

    written = []
    for (folder, name), files in groupby(sorted(report.files, key=home), key=home):
        part = VerificationReport(files=tuple(files), tolerances=report.tolerances)
        texts = {
            "json": json.dumps(part.as_json(), indent=2) + "\n",
            "html": sheet_html(name, part),
        }
        for ending, text in texts.items():
            path = Path(folder) / f"{name}.verify.{ending}"
            _replace(path, text.encode("utf-8", "replace"))
            written.append(path)
    return written


def _replace(path: Path, contents: bytes) -> None:
    partial = path.with_name(f".{path.name}-partial")
    try:
        partial.write_bytes(contents)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise ExportError(
            f"The sheet '{path}' could not be written ({error.strerror or error}); "
            "free some space or verify a copy in another folder."
        ) from error


def sheet_html(name: str, report: VerificationReport) -> str:
    """The sheet for people.

    Args:
        name: Name of the instrument.
        report: What was found.
    """
    limits = report.tolerances
    body = [
        f"<h1>{escape(name)}: {_state(report.is_green, 'all green', 'something is red')}</h1>",
        f"<p>Allowed: {limits.tuning_cents:g} cents off the key's pitch, "
        f"{limits.level_step_db:g} dB between neighbours, steps at a loop's wrap "
        f"{limits.seam:g} times those within it; below {limits.silence_dbfs:g} dBFS a key is "
        "silent.</p>",
    ]
    for file in report.files:
        body += _file_section(file, limits)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(name)}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _state(is_green: bool, green: str, red: str) -> str:
    return f'<span class="{"green" if is_green else "red"}">{green if is_green else red}</span>'


def _file_section(file: FileReport, limits: Tolerances) -> list[str]:
    rows = file.rows
    parts = [
        f"<h2>{escape(file.path.name)}: {_state(file.is_green, 'green', 'red')}</h2>",
        f"<p>{escape(file.summary)}.</p>",
        _list(file.red, "red"),
        _list(file.notes, ""),
    ]
    if rows:
        parts += [
            _figure(
                _plot(rows, [row.cents for row in rows], limits.tuning_cents, "cents"),
                "Deviation from the key's pitch, cents. The band is what is allowed.",
            ),
            _figure(
                _plot(rows, [row.level_db for row in rows], None, "LUFS"),
                "Loudness of the loudest 400 ms, LUFS; engines differ by a constant.",
            ),
        ]
    if file.strip is not None:
        parts.append(
            _figure(
                f'<img alt="Spectrograms" src="data:image/png;base64,{_png(file.strip)}">',
                "Spectrograms of the recordings from low to high, 30 Hz to 16 kHz.",
            )
        )
    return [*parts, _table(rows)] if rows else parts


def _list(sentences: Iterable[str], kind: str) -> str:
    items = "".join(f'<li class="{kind}">{escape(sentence)}</li>' for sentence in sentences)
    return f"<ul>{items}</ul>" if items else ""


def _figure(picture: str, caption: str) -> str:
    return f"<figure>{picture}<figcaption>{escape(caption)}</figcaption></figure>"


def _plot(
    rows: Sequence[KeyCheck], values: Sequence[float | None], band: float | None, unit: str
) -> str:
    """Points over the keyboard as SVG; colours tell engines, rings what is red."""
    known = [value for value in values if value is not None]
    if not known:
        return f"<p>No {unit}: not measurable on any key.</p>"
    edges = [-band, band] if band is not None else []
    low, high = min(known + edges) - 1.0, max(known + edges) + 1.0
    first, last = min(row.key for row in rows) - 1, max(row.key for row in rows) + 1
    right = _WIDTH - _RIGHT

    def x(key: float) -> float:
        return _LEFT + (key - first) / (last - first) * (right - _LEFT)

    def y(value: float) -> float:
        return _TOP + (high - value) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'role="img" font-size="11" font-family="sans-serif" fill="#555">'
    ]
    if band is not None:
        parts.append(
            f'<rect x="{_LEFT}" y="{y(band):.1f}" width="{right - _LEFT}" '
            f'height="{y(-band) - y(band):.1f}" fill="#e3f1e4"/>'
        )
    parts += [
        f'<line x1="{_LEFT}" x2="{right}" y1="{y(value):.1f}" y2="{y(value):.1f}" '
        f'stroke="#ccc"/><text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">'
        f"{value:.1f}</text>"
        for value in np.linspace(low + 1.0, high - 1.0, 3)
    ]
    parts += [
        f'<line x1="{x(key):.1f}" x2="{x(key):.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}" '
        f'stroke="#eee"/><text x="{x(key):.1f}" y="{_HEIGHT - 8}" text-anchor="middle">'
        f"{note_name(key)}</text>"
        for key in range(-(-first // 12) * 12, last + 1, 12)
    ]
    colours = dict(zip(dict.fromkeys(row.engine for row in rows), _COLOURS, strict=False))
    for row, value in zip(rows, values, strict=True):
        if value is not None:
            ring = f' stroke="{_RED}" stroke-width="2.5"' if row.faults else ""
            parts.append(
                f'<circle cx="{x(row.key):.1f}" cy="{y(value):.1f}" r="3.5" '
                f'fill="{colours[row.engine]}"{ring}><title>'
                f"{escape(f'{row.label}, {row.engine}: {value:.2f} {unit}')}</title></circle>"
            )
    parts += [
        f'<text x="{_LEFT + 8 + 110 * index}" y="{_TOP + 8}" fill="{colour}">'
        f"&#9679; {escape(engine)}</text>"
        for index, (engine, colour) in enumerate(colours.items())
    ]
    return "".join([*parts, "</svg>"])


def _png(strip: NDArray[np.uint8]) -> str:
    """A coloured picture of levels [B, F], low bands at the bottom, as base64."""
    places = np.linspace(0, 255, len(_STOPS))
    palette = np.stack([np.interp(np.arange(256), places, _STOPS[:, c]) for c in range(3)], axis=1)
    image = Image.fromarray(palette.round().astype(np.uint8)[strip[::-1]])
    contents = io.BytesIO()
    image.resize((_WIDTH, 2 * image.height)).save(contents, "PNG")
    return base64.b64encode(contents.getvalue()).decode("ascii")


def _table(rows: Sequence[KeyCheck]) -> str:
    heads = "".join(f"<th>{head}</th>" for head in _HEADS)
    lines = [f"<details><summary>All keys</summary><table><tr>{heads}</tr>"]
    for row in rows:
        place = f" {row.place}" if row.place else ""
        cells = (
            f"{row.key} {note_name(row.key)}{place}",
            row.engine,
            str(row.velocity),
            _number(row.cents, row.why_no_cents),
            f"{row.level_db:.1f}",
            _number(row.level_step_db, ""),
            _number(row.seam, "no loop"),
            f"{row.peak_db:.1f}",
            "; ".join(row.faults),
        )
        bad = ' class="bad"' if row.faults else ""
        lines.append(f"<tr{bad}>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    return "".join([*lines, "</table></details>"])


def _number(value: float | None, otherwise: str) -> str:
    return otherwise if value is None else f"{value:.2f}"
