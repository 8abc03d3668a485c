"""A run as one HTML page that needs nothing else: frames side by side, plots, numbers and what their grades mean."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from talkhead.evaluation.clip import DIFFERENCE_GAIN, ClipResult
from talkhead.evaluation.evaluation import Evaluation, main_rows
from talkhead.evaluation.families import FAMILIES, better
from talkhead.evaluation.measurement import Measurement
from talkhead.evaluation.table import number

F64 = npt.NDArray[np.float64]

GRADES = {
    "exact": "a closed formula, no network",
    "paper": "the paper's own network, its file known by sha256",
    "paper-like": "same definition, another network of the kind",
    "proxy": "our own variant without that network; its name has a ~ and it is not comparable with published numbers",
    "unverified": "a network from a file that nobody published the sha256 of, or predictions of yours",
}
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 760, 170, 52, 24, 10, 12
_COLOURS = ("#c2410c", "#1d4ed8")
_ALONE = "#44403c"
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:1040px;margin:2em auto;padding:0 1em;color:#1c1917;background:#fff}
h1{font-size:1.5em;margin-bottom:.2em}h2{font-size:1.15em;margin-top:2em}h3{font-size:1em;margin:1.2em 0 .2em}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:14px}
th,td{padding:.25em .6em;text-align:left;border-bottom:1px solid #e7e5e4;vertical-align:top}
td.n,th.n{text-align:right;white-space:nowrap}td.d{color:#57534e;font-size:13px}
.wide{overflow-x:auto}.grade{padding:0 .45em;border-radius:.7em;background:#e7e5e4;white-space:nowrap;font-size:13px}
.exact,.paper{background:#dcfce7}.paper-like{background:#e0f2fe}.proxy{background:#fef3c7}.unverified{background:#fee2e2}
figure{display:inline-block;margin:0 1em 1em 0}figcaption{color:#57534e;font-size:13px}
figure img{display:inline-block;margin-right:2px}svg{max-width:100%;height:auto}
.key{font-size:13px;color:#57534e}.key b{font-weight:600}footer{margin-top:3em;color:#57534e;font-size:13px}
"""


def as_html(found: Evaluation) -> str:
    """The page."""
    title = found.clips[0].name if len(found.clips) == 1 and not found.set_rows else f"{len(found.clips)} clips"
    parts = [
        f"<h1>Evaluation of {_text(title)}</h1>",
        _facts(found),
        *(_pictures(clip) for clip in found.clips if clip.moments),
        "<h2>Numbers</h2>",
        _table(found),
        _missing(found.rows),
        _notes(found),
        *(_plots(clip) for clip in found.clips[:1] if clip.curves and not found.set_rows),
        _clips(found) if found.set_rows else "",
        _grades(),
        _footer(found),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>talkhead eval: {_text(title)}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body></html>\n"
    )


def _text(value: object) -> str:
    return html.escape(str(value), quote=True)


def _facts(found: Evaluation) -> str:
    protocol = found.protocol
    about = f"Protocol <b>{_text(protocol.name)}</b>{f' ({_text(protocol.paper)})' if protocol.paper else ''}"
    if len(found.clips) != 1:
        return f"<p>{about}.</p>"
    clip = found.clips[0]
    # Names alone: a page is sent around, and folders say who made it.
    files = "; ".join(f"{key} <b>{_text(Path(name).name)}</b>" for key, name in clip.files.items())
    size = f"{clip.size[0]}x{clip.size[1]}, {clip.n_frames} frames at {clip.fps:g} per second"
    return f"<p>{files}. {about}. Judged at {size}.</p>"


def _pictures(clip: ClipResult) -> str:
    shown = []
    for moment in clip.moments:
        pictures = [("generated", moment.generated), ("real", moment.real), ("difference", moment.difference)]
        width = 240 if moment.real is None else 160
        images = "".join(
            f'<img alt="{name} frame at {moment.time_s:.2f} s" width="{width}" src="data:image/jpeg;base64,'
            f'{base64.b64encode(data).decode()}">'
            for name, data in pictures
            if data is not None
        )
        sides = f"generated, real, their difference x {DIFFERENCE_GAIN}" if moment.real is not None else "generated"
        why = f", {moment.why}" if moment.why else ""
        shown.append(f"<figure>{images}<figcaption>{moment.time_s:.2f} s{why}: {sides}</figcaption></figure>")
    return f"<h2>Frames</h2>{''.join(shown)}"


def _table(found: Evaluation) -> str:
    real = {(row.name, row.definition): row for row in found.real_rows}
    bounds = {
        (row.measurement.name, row.measurement.definition): (row.low, row.high)
        for row in main_rows(found.set_rows, found.protocol.pool)
    }
    lines = []
    for row in found.rows:
        if row.value is None and not row.params.get("identical"):
            continue
        other, (low, high) = real.get((row.name, row.definition)), bounds.get((row.name, row.definition), (None, None))
        between = "" if low is None or high is None else f"{number(low)} .. {number(high)}"
        frames = f"{row.n_frames}{f' ({row.frames_dropped} dropped)' if row.frames_dropped else ''}"
        frames += f" of {row.n_clips} clips" if found.set_rows else ""
        lines.append(
            f'<tr><td>{_text(row.name)}</td><td class="n"><b>{_shown(row)}</b></td>'
            + (f'<td class="n">{between}</td>' if found.set_rows else "")
            + f'<td class="n">{_shown(other)}</td><td>{_text(row.unit)}</td><td>{better(row.name)}</td>'
            f'<td><span class="grade {row.grade}">{row.grade}</span></td><td class="n">{frames}</td>'
            f'<td class="d">{_text(row.definition)}<br>{_text(_params(row))}</td></tr>'
        )
    interval = '<th class="n">95 %</th>' if found.set_rows else ""
    head = (
        f'<tr><th>name</th><th class="n">generated</th>{interval}<th class="n">real</th><th>unit</th><th>better</th>'
        '<th>grade</th><th class="n">frames</th><th>definition</th></tr>'
    )
    what = (
        "The column <i>real</i> is the real clip against itself, or alone: the scale of the other. Where <i>better</i>"
        " says <i>as real</i>, the nearer to that the better."
    )
    explained = f"<p>{what}</p>" if real else ""
    return f'<div class="wide"><table>{head}{"".join(lines)}</table></div>{explained}'


def _shown(row: Measurement | None) -> str:
    if row is not None and row.value is None and row.params.get("identical"):
        return "&infin;"
    return number(row.value if row is not None else None)


def _params(row: Measurement) -> str:
    """Settings of a row that say something: not those that are off."""
    usual: dict[str, object] = {"every": 1, "identical_frames": 0, "undefined": 0, "identical": False}
    words = []
    for key, value in row.params.items():
        if key in ("warning", "lip_map") or usual.get(key) == value:
            continue
        words.append(f"{key.replace('_', ' ')} {number(value) if isinstance(value, float) else value}")
    return ", ".join(words)


def _missing(rows: Sequence[Measurement]) -> str:
    why: dict[str, list[str]] = {}
    for row in rows:
        if row.value is None and not row.params.get("identical"):
            why.setdefault(row.reason, []).append(row.name)
    lines = "".join(f"<li><b>{_text(', '.join(names))}</b>: {_text(reason)}</li>" for reason, names in why.items())
    return f"<h3>Without value</h3><ul>{lines}</ul>" if lines else ""


def _notes(found: Evaluation) -> str:
    notes = list(found.notes)
    several = len(found.clips) > 1
    notes += [f"{clip.name}: {note}" if several else note for clip in found.clips for note in clip.notes]
    notes += [f"{row.name}: {row.params['warning']}" for row in found.rows if "warning" in row.params]
    notes += [f"{failure.name} was not judged: {failure.message}" for failure in found.failures]
    notes += [found.protocol.unknown] if found.protocol.unknown else []
    shown = {row.name for row in found.rows if row.value is not None}
    cautions: dict[str, list[str]] = {}
    for family in FAMILIES:
        if family.caution and shown & set(family.rows):
            cautions.setdefault(family.caution, []).append(family.name)
    notes += [f"{', '.join(names)}: {caution}" for caution, names in cautions.items()]
    lines = "".join(f"<li>{_text(note)}</li>" for note in notes)
    return f"<h3>To know</h3><ul>{lines}</ul>" if lines else ""


def _plots(clip: ClipResult) -> str:
    key = (
        f'<p class="key"><b style="color:{_COLOURS[0]}">generated</b>, <b style="color:{_COLOURS[1]}">real</b>, <b '
        f'style="color:{_ALONE}">one against the other</b>; gaps: no face, or identical frames. Dashed: the moments '
        "shown above. Time in seconds.</p>"
    )
    duration_s, moments = clip.n_frames / clip.fps, [moment.time_s for moment in clip.moments]
    plots = "".join(
        f"<h3>{_text(name)}</h3>{plot(curves, duration_s, moments, is_of_both=name in clip.of_both)}"
        for name, curves in clip.curves.items()
    )
    return f"<h2>Over time</h2>{key}{plots}"


def plot(curves: Sequence[F64], duration_s: float, moments: Sequence[float] = (), *, is_of_both: bool = False) -> str:
    """An SVG of curves over the same time, the later ones below; NaN and infinity leave gaps.

    Args:
        curves: (T,) each. duration_s: of all of them, seconds. moments: marked by a dashed line, seconds.
        is_of_both: the curve belongs to neither clip but compares the two.
    """
    finite = np.concatenate([curve[np.isfinite(curve)] for curve in curves])
    if not len(finite):
        return "<p>nothing to show</p>"
    low, high = float(finite.min()), float(finite.max())
    margin = 0.05 * (high - low) or max(abs(high), 1.0) * 0.05
    low, high = low - margin, high + margin
    inner_width, inner_height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def y_of(value: float) -> float:
        return _TOP + inner_height * (high - value) / (high - low)

    lines = "".join(
        f'<path d="{_path(curve, inner_width, y_of)}" fill="none" stroke="{colour}" stroke-width="1.4"/>'
        for curve, colour in reversed(list(zip(curves, [_ALONE] if is_of_both else _COLOURS, strict=False)))
    )
    marks = []
    for value in ticks(low, high):
        y = y_of(value)
        marks.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e7e5e4"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
        )
    for moment in moments:
        x = _LEFT + inner_width * moment / duration_s
        marks.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}" stroke="#a8a29e"'
            ' stroke-dasharray="3 3"/>'
        )
    for moment in ticks(0.0, duration_s, 8):
        x = _LEFT + inner_width * moment / duration_s
        marks.append(f'<text x="{x:.1f}" y="{_HEIGHT - 6}" text-anchor="middle">{moment:g}</text>')
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" role="img" font-size="12" fill="#57534e">'
        f"{''.join(marks)}{lines}</svg>"
    )


def ticks(low: float, high: float, most: int = 4) -> list[float]:
    """Round numbers between two, at most so many and one: multiples of 1, 2 or 5 times a power of ten."""
    least = (high - low) / most
    power = 10.0 ** math.floor(math.log10(least))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _path(curve: F64, width: float, y_of: Callable[[float], float]) -> str:
    """SVG path data."""
    words, is_down = [], False
    for i in range(len(curve)):
        value = float(curve[i])
        if not np.isfinite(value):
            is_down = False
            continue
        x = _LEFT + width * (i + 0.5) / len(curve)
        words.append(f"{'L' if is_down else 'M'}{x:.1f} {y_of(value):.1f}")
        is_down = True
    return " ".join(words)


def _clips(found: Evaluation) -> str:
    """A table of the clips of a set: those rows that have a value in any of them."""
    names = [row.name for row in found.rows if any(r.name == row.name and r.value is not None
                                                   for clip in found.clips for r in clip.rows)]  # fmt: skip
    names = list(dict.fromkeys(names))
    head = "".join(f'<th class="n">{_text(name)}</th>' for name in names)
    lines = []
    for clip in found.clips:
        values = {row.name: row.value for row in clip.rows}
        cells = "".join(f'<td class="n">{number(values.get(name))}</td>' for name in names)
        lines.append(f'<tr><td>{_text(clip.name)}</td><td class="n">{clip.n_frames}</td>{cells}</tr>')
    table = f'<tr><th>clip</th><th class="n">frames</th>{head}</tr>{"".join(lines)}'
    return f'<h2>Clips</h2><div class="wide"><table>{table}</table></div>'


def _grades() -> str:
    lines = "".join(
        f'<tr><td><span class="grade {name}">{name}</span></td><td>{_text(what)}</td></tr>'
        for name, what in GRADES.items()
    )
    return f"<h2>Grades</h2><table>{lines}</table>"


def _footer(found: Evaluation) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    weights = "; ".join(f"{name} sha256 {digest}" for name, digest in found.weights.items()) or "none"
    return (
        f"<footer>{_text(packages)}. Weights: {_text(weights)}. {found.seconds:.1f} s of work. Numbers of different"
        " protocols, sizes or definitions must not stand in one table.</footer>"
    )
