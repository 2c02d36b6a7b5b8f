# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""A dashboard's panels as SVG, in Grafana's grid of 24 columns and, nearly, in its looks."""

from __future__ import annotations

import datetime
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import grafana
from grafana import Json, Series, Span

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))

# pylint: disable=wrong-import-position
from plot import HEAD, text  # noqa: E402

_COLUMN, _ROW, _GAP = 60, 38, 8  # pixels
_TITLE, _LETTER, _LINE = 26, 6.5, 15  # the heights of a title and a line, the width of a letter
_LEGEND_SHARE = 0.35  # of a panel; Grafana has one scroll what is beyond
_PALETTE = ("#56A64B", "#F2CC0C", "#3274D9", "#FF780A", "#E02F44", "#A352CC", "#37872D", "#E0B400",
            "#1F60C4", "#FA6400", "#C4162A", "#8F3BB8", "#96D98D", "#FFEE52", "#8AB8FF", "#FFB357")
_NAMED = {"green": "#56A64B", "red": "#E02F44", "orange": "#FF780A", "blue": "#3274D9"}


class Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top


def box_of(panel: Json) -> Box:
    at = panel["gridPos"]
    left, top = at["x"] * _COLUMN + _GAP / 2, at["y"] * _ROW + _GAP / 2
    return Box(left, top, left + at["w"] * _COLUMN - _GAP, top + at["h"] * _ROW - _GAP)


def levels(high: float) -> list[float]:
    """From 0 to the first that is not below `high`, by 1, 2 or 5 times a power of ten, six at most."""
    if high <= 0:
        return [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(high / 5))
    step = next(factor * power for factor in (1, 2, 5, 10) if high / (factor * power) <= 5 + 1e-9)
    return [index * step for index in range(math.ceil(high / step - 1e-9) + 1)]


def simplified(points: Sequence[tuple[float, float]], tolerance: float) -> list[tuple[float, float]]:
    """Those of a curve that the others lie near to (Douglas and Peucker)."""
    if len(points) < 3:
        return list(points)
    (x0, y0), (x1, y1) = points[0], points[-1]
    length = math.hypot(x1 - x0, y1 - y0) or 1.0
    offs = [abs((y1 - y0) * (x - x0) - (x1 - x0) * (y - y0)) / length for x, y in points]
    far = max(range(len(points)), key=offs.__getitem__)
    if offs[far] <= tolerance:
        return [points[0], points[-1]]
    return simplified(points[:far + 1], tolerance)[:-1] + simplified(points[far:], tolerance)


def runs(points: Sequence[tuple[float, float]], step: float) -> Iterator[list[tuple[float, float]]]:
    """Parts of a curve between which something is missing."""
    run: list[tuple[float, float]] = []
    for point in points:
        if run and point[0] - run[-1][0] > 1.5 * step:
            yield run
            run = []
        run.append(point)
    if run:
        yield run


def _rect(box: Box, fill: str, more: str = "") -> str:
    return (f'<rect x="{box.left:.1f}" y="{box.top:.1f}" width="{box.width:.1f}" '
            f'height="{box.height:.1f}" fill="{fill}"{more}/>')


def _cut(words: str, width: float, letter: float = _LETTER) -> str:
    room = max(int(width / letter), 1)
    return words if len(words) <= room else words[:room - 1] + "…"


def _legend(box: Box, names: Sequence[str], colours: Sequence[str]) -> tuple[list[str], float]:
    """In lines at the bottom of the box, and where these begin."""
    places, x, line = [], box.left, 0
    for name in names:
        width = 16 + len(name) * _LETTER + 10
        if x > box.left and x + width > box.right:
            x, line = box.left, line + 1
        places.append((x, line))
        x += width
    room = max(int(box.height * _LEGEND_SHARE / _LINE), 1)
    hidden = sum(at >= room for _, at in places)
    top = box.bottom - _LINE * min(line + 1, room)
    lines = []
    for (x, at), name, colour in zip(places, names, colours):
        if at < room:
            y = top + at * _LINE + 11
            lines.append(f'<path d="M{x:.0f} {y - 4:.0f}h11" stroke="{colour}" stroke-width="3"/>')
            lines.append(text(x + 15, y, _cut(name, box.right - x - 15), "start"))
    if hidden:
        lines.append(text(box.right, box.bottom - 4, f"(scroll: {hidden} more)", "end", ' fill="#c00"'))
    return lines, top


def _times(plot: Box, span: Span) -> tuple[list[str], Callable[[float], float]]:
    def across(when: float) -> float:
        return plot.left + (when - span.begin) / (span.end - span.begin) * plot.width

    lines = []
    minute = math.ceil(span.begin / 60) * 60
    while minute <= span.end:
        x = across(minute)
        clock = datetime.datetime.fromtimestamp(minute, datetime.timezone.utc).strftime("%H:%M")
        lines.append(f'<path d="M{x:.1f} {plot.top:.1f}V{plot.bottom:.1f}" stroke="#eee"/>')
        if plot.left + 14 < x < plot.right - 14:
            lines.append(text(x, plot.bottom + 14, clock))
        minute += 60
    return lines, across


def _curves(panel: Json, box: Box, found: Sequence[Series], span: Span) -> list[str]:
    defaults = panel["fieldConfig"]["defaults"]
    if defaults["custom"].get("drawStyle", "line") != "line":
        raise ValueError(f"{panel['title']}: only lines are drawn here")
    fixed = [grafana.fixed_colour(panel, one) for one in found]
    colours = [_NAMED[name] if name else _PALETTE[index % len(_PALETTE)] for index, name in enumerate(fixed)]
    lines, bottom = _legend(box, [one.name for one in found], colours)
    step = span.step(int(box.width))
    marks = levels(max(value for one in found for _, value in one.points))
    words = [grafana.number(mark, defaults["unit"]) for mark in marks]
    plot = Box(box.left + max(map(len, words)) * _LETTER + 6, box.top + 4, box.right - 4, bottom - 22)
    more, across = _times(plot, span)
    lines += more

    def down(value: float) -> float:
        return plot.bottom - value / marks[-1] * plot.height

    for mark, word in zip(marks, words):
        lines.append(f'<path d="M{plot.left:.1f} {down(mark):.1f}H{plot.right:.1f}" stroke="#e4e4e4"/>')
        lines.append(text(plot.left - 5, down(mark) + 4, word, "end"))
    for one, colour in zip(found, colours):
        path = "".join(
            "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in simplified(
                [(across(when), down(value)) for when, value in run], 0.3))
            + ("h1" if len(run) == 1 else "")
            for run in runs(one.points, step))
        if path:
            lines.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    return lines


def states(points: Sequence[tuple[float, float]], step: float) -> Iterator[tuple[float, float, float]]:
    """From when, until when, and the value, of what stayed as it was."""
    begin = until = value = math.nan
    for when, now in points:
        if (when, now) != (until, value):
            if begin < until:
                yield begin, until, value
            begin, value = when, now
        until = when + step
    if begin < until:
        yield begin, until, value


def _states(panel: Json, box: Box, found: Sequence[Series], span: Span) -> list[str]:
    seen = {value: (grafana.text_of(panel, value), _fill(panel, one, value))
            for one in found for _, value in one.points}
    known = [seen[value] for value in sorted(seen)]
    lines, bottom = _legend(box, [name for name, _ in known], [colour for _, colour in known])
    margin = max((len(one.name) for one in found), default=0) * _LETTER + 12
    plot = Box(box.left + margin, box.top + 4, box.right - 4, bottom - 22)
    more, across = _times(plot, span)
    lines += more
    step = span.step(int(box.width))
    each = plot.height / max(len(found), 1)
    for row, one in enumerate(found):
        top = plot.top + row * each + each * 0.1
        lines.append(text(plot.left - 6, top + each * 0.4 + 4, one.name, "end"))
        for begin, end, value in states(one.points, step):
            block = Box(across(begin), top, min(across(end), plot.right), top + each * 0.8)
            lines.append(_rect(block, _fill(panel, one, value)))
    return lines


def _fill(panel: Json, one: Series, value: float) -> str:
    name = grafana.colour(panel, one, value) or "green"
    return _NAMED.get(name, name)


def _tiles(panel: Json, box: Box, found: Sequence[Series]) -> list[str]:
    lines = []
    options = panel["options"]
    across = options["orientation"] == "vertical" or (options["orientation"] == "auto" and box.width > box.height)
    each = (box.width if across else box.height) / max(len(found), 1)
    for index, one in enumerate(found):
        tile = (Box(box.left + index * each + 2, box.top, box.left + (index + 1) * each - 2, box.bottom) if across
                else Box(box.left, box.top + index * each + 2, box.right, box.top + (index + 1) * each - 2))
        lines += _tile(panel, tile, one)
    return lines


def _tile(panel: Json, tile: Box, one: Series) -> list[str]:
    options, value = panel["options"], one.points[-1][1]
    filled = options["colorMode"] == "background"
    ink = f' fill="{"white" if filled else "#222"}"'
    words = one.name if options["textMode"] == "name" else grafana.text_of(panel, value)
    wide = tile.width > 5 * tile.height  # the name is beside the value, not above it
    room = tile.width / 2 if wide else tile.width
    size = max(9.0, min(room * 1.35 / max(len(words), 1), tile.height / (1.7 if wide else 3), 30))
    middle, centre = (tile.left + tile.right) / 2, (tile.top + tile.bottom) / 2
    bold = f'{ink} font-size="{size:.0f}" font-weight="bold"'
    lines = [_rect(tile, _fill(panel, one, value) if filled else "#f4f4f4", ' rx="3"')]
    if options["textMode"] == "name":
        return [*lines, text(middle, centre + size / 3, words, "middle", bold)]
    small = max(7.0, min(13.0, room * 1.75 / max(len(one.name), 1)))
    name, light = _cut(one.name, room, small * 0.56), f'{ink} font-size="{small:.0f}"'
    if wide:
        return [*lines, text(tile.left + 8, centre + small / 3, name, "start", light),
                text(tile.right - 8, centre + size / 3, words, "end", bold)]
    return [*lines, text(middle, centre - size / 2 - 6, name, "middle", light),
            text(middle, centre + size / 2, words, "middle", bold)]


def _table(panel: Json, box: Box, found: Sequence[Series]) -> list[str]:
    head, *rows = grafana.table(panel, found)
    wanted = [grafana.override(panel, Series("", name, {}, ()), "custom.width") for name in head]
    rest = (box.width - sum(filter(None, wanted))) / max(wanted.count(None), 1)
    widths = [width or rest for width in wanted]
    lines = []
    for line, row in enumerate([head, *rows]):
        y = box.top + 18 + line * 24
        lines.append(f'<path d="M{box.left:.1f} {y + 7:.1f}H{box.right:.1f}" stroke="#ddd"/>')
        weight = ' font-weight="bold"' if line == 0 else ""
        lines += [text(box.left + sum(widths[:column]) + 4, y, _cut(cell, widths[column] - 8, 7), "start", weight)
                  for column, cell in enumerate(row)]
    return lines


def panel_svg(panel: Json, found: Sequence[Series], span: Span) -> list[str]:
    box = box_of(panel)
    if panel["type"] == "row":
        return [text(box.left + 4, box.top + 20, "⌄ " + panel["title"], "start",
                     ' font-size="15" font-weight="bold"')]
    lines = [_rect(box, "white", ' stroke="#ccc"'),
             text(box.left + 8, box.top + 18, _cut(panel["title"], box.width - 16, 7), "start",
                  ' font-size="13" font-weight="bold"')]
    inner = Box(box.left + 8, box.top + _TITLE, box.right - 8, box.bottom - 6)
    if not any(one.points for one in found):
        nothing = panel["fieldConfig"]["defaults"].get("noValue", "No data")
        return [*lines, text((box.left + box.right) / 2, (box.top + box.bottom) / 2, nothing, "middle",
                             ' fill="#777"')]
    if panel["type"] == "timeseries":
        return lines + _curves(panel, inner, found, span)
    if panel["type"] == "state-timeline":
        return lines + _states(panel, inner, found, span)
    if panel["type"] == "stat":
        return lines + _tiles(panel, inner, found)
    if panel["type"] == "table":
        return lines + _table(panel, inner, found)
    raise ValueError(f"{panel['title']}: no idea how Grafana draws a {panel['type']}")


def svg(panels: Sequence[tuple[Json, Sequence[Series]]], span: Span) -> str:
    width = 24 * _COLUMN
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel, _ in panels) * _ROW + _GAP
    body = [line for panel, found in panels for line in panel_svg(panel, found, span)]
    return "\n".join([
        HEAD,
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11" fill="#222">',
        f'<rect width="{width}" height="{height}" fill="#f4f5f5"/>', *body, "</svg>", ""])
