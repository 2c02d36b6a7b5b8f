# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""Curves on logarithmic axes, as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

_PANEL, _HEIGHT = 460, 400  # pixels; a panel's legend is beside its curves
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 130, 50, 50
HEAD = """\
<!--
SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
SPDX-License-Identifier: Apache-2.0
-->"""


class Curve(NamedTuple):
    name: str
    colour: str
    dashed: bool
    points: Sequence[tuple[float, float]]  # all greater than 0


class Panel(NamedTuple):
    title: str
    x_title: str
    curves: Sequence[Curve]  # none is empty


def ticks(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, ...: from the last that is not above `low` to the first not below `high`."""
    steps = [factor * 10.0 ** power for power in range(-6, 10) for factor in (1, 2, 5)]
    first = max(index for index, step in enumerate(steps) if step <= low * (1 + 1e-9))
    last = min(index for index, step in enumerate(steps) if step >= high * (1 - 1e-9))
    return steps[first:max(last, first + 1) + 1]


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Each as near to what is wanted as leaves `gap` between neighbours, further down if need be."""
    places = list(wanted)
    last = -math.inf
    for index in sorted(range(len(places)), key=places.__getitem__):
        last = places[index] = max(places[index], last + gap)
    return places


def text(x: float, y: float, words: str, anchor: str = "middle", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(words)}</text>'


def _panel(panel: Panel, offset: int) -> list[str]:
    points = [point for curve in panel.curves for point in curve.points]
    xs = sorted({x for x, _ in points})
    levels = ticks(min(y for _, y in points), max(y for _, y in points))
    left, right = offset + _LEFT, offset + _PANEL - _RIGHT
    bottom = _HEIGHT - _BOTTOM

    def across(x: float) -> float:
        share = math.log(x / xs[0]) / (math.log(xs[-1] / xs[0]) or 1)
        return left + share * (right - left)

    def down(y: float) -> float:
        return bottom - math.log(y / levels[0]) / math.log(levels[-1] / levels[0]) * (bottom - _TOP)

    lines = [text(left, _TOP - 24, panel.title, "start", ' font-weight="bold"'),
             text((left + right) / 2, _HEIGHT - 12, panel.x_title)]
    for y in levels:
        lines.append(f'<path d="M{left} {down(y):.1f}H{right}" stroke="#ddd"/>')
        lines.append(text(left - 6, down(y) + 4, f"{y:,g}", "end"))
    lines += [text(across(x), bottom + 18, f"{x:g}") for x in xs]
    names = spread([down(curve.points[-1][1]) for curve in panel.curves], 14)
    for curve, name in zip(panel.curves, names):
        path = "L".join(f"{across(x):.1f} {down(y):.1f}" for x, y in curve.points)
        dashes = ' stroke-dasharray="5 3"' if curve.dashed else ""
        lines.append(f'<path d="M{path}" fill="none" stroke="{curve.colour}" stroke-width="2"'
                     f"{dashes}/>")
        lines.append(text(right + 6, name + 4, curve.name, "start", f' fill="{curve.colour}"'))
    return lines


def svg(panels: Sequence[Panel]) -> str:
    width = _PANEL * len(panels)
    body = [line for index, panel in enumerate(panels) for line in _panel(panel, index * _PANEL)]
    return "\n".join([
        HEAD,
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{_HEIGHT}" fill="white"/>', *body, "</svg>", ""])
