# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""Figures as Markdown tables and curves, and their place in docs/performance.md.

The figures: "machine" (text), "load" (how many processes of others ran when it began), "other" (the
other plugin's name), "rounds", "seconds", and "measurements": by a measurement's name, what okms-bench
printed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from measurements import ALL, CLIENTS
from plot import Curve, Panel, svg

Figures = dict[str, Any]

PLOT = "performance.svg"  # beside the document
_BEGIN = "<!-- figures: made by scripts/benchmark -->\n"
_END = "<!-- end of figures -->\n"


class Kind(NamedTuple):
    """A figure of a measurement."""

    path: tuple[str, ...]  # in what okms-bench prints of one plugin
    unit: str
    more_is_better: bool = False
    factor: float = 1


RATE = Kind(("per_second",), "calls/s", True)
P50 = Kind(("latency_ms", "p50"), "ms, median")
P99 = Kind(("latency_ms", "p99"), "ms, p99")
CPU = Kind(("cpu_us_per_call",), "µs of CPU a call")
SECONDS = Kind(("seconds",), "s")
RESIDENT = Kind(("memory", "resident_kb"), "MiB resident", factor=1 / 1024)
THREADS = Kind(("memory", "threads"), "threads")
LISTENING = Kind(("listening_ms",), "ms")
FIRST_ANSWER = Kind(("first_answer_ms",), "ms")

# What, the measurement, the figures of it.
Row = tuple[str, str, tuple[Kind, ...]]

_SECTIONS: tuple[tuple[str, tuple[Row, ...]], ...] = (
    ("Over KMIP", (
        ("Decrypt, 1 client", "kmip 0s decrypt 1", (P50, RATE, CPU)),
        ("Decrypt, 64 clients", "kmip 0s decrypt 64", (RATE, P99, CPU)),
        ("Decrypt, 256 clients", "kmip 0s decrypt 256", (RATE, P99, CPU, RESIDENT, THREADS)),
        ("Decrypt, 1 client, KMS takes 5 ms", "kmip 5ms decrypt 1", (P50,)),
        ("Decrypt, 64 clients, KMS takes 5 ms", "kmip 5ms decrypt 64", (RATE, P99)),
        ("Decrypt, 256 clients, KMS takes 5 ms", "kmip 5ms decrypt 256", (RATE, P99)),
        ("1,000 seeds, 16 at a time, KMS takes 5 ms", "kmip 5ms cold 16", (SECONDS,)),
        ("1,000 seeds, all at once, KMS takes 5 ms", "kmip 5ms cold all", (SECONDS,)),
        ("256 Decrypts at once, KMS takes 5 ms", "kmip 5ms herd",
         (SECONDS, Kind(("status", "latency_ms", "p99"), "ms, p99 of Status beside"),
          Kind(("encrypt", "latency_ms", "max"), "ms, slowest Encrypt beside"))),
        ("Status, 1 client", "kmip 0s status 1", (P50, CPU)),
        ("Status, KMS stopped, 16 clients of Decrypt beside", "kmip hung status", (P99,)),
        ("From the start to the socket", "kmip start", (LISTENING,)),
        ("From the start to the first Status", "kmip start", (FIRST_ANSWER, RESIDENT)),
    )),
    ("Over REST", (
        ("Decrypt, 1 client", "rest 0s decrypt 1", (P50, RATE, CPU)),
        ("Decrypt, 64 clients", "rest 0s decrypt 64", (RATE, P99, CPU)),
        ("Decrypt, 256 clients", "rest 0s decrypt 256", (RATE, P99, CPU, RESIDENT, THREADS)),
        ("Decrypt, 1 client, KMS takes 5 ms", "rest 5ms decrypt 1", (P50, CPU)),
        ("Decrypt, 64 clients, KMS takes 5 ms", "rest 5ms decrypt 64", (RATE, P99, CPU)),
        ("Decrypt, 1 client, HTTP/2", "rest-http2 0s decrypt 1", (P50, CPU)),
        ("Decrypt, 64 clients, HTTP/2", "rest-http2 0s decrypt 64", (RATE, P99, CPU)),
        ("Decrypt, 1 client, HTTP/2, KMS takes 5 ms", "rest-http2 5ms decrypt 1", (P50,)),
        ("Decrypt, 64 clients, HTTP/2, KMS takes 5 ms", "rest-http2 5ms decrypt 64",
         (RATE, P99, CPU)),
        ("From the start to the socket", "rest start", (LISTENING,)),
        ("From the start to the first Status", "rest start", (FIRST_ANSWER, RESIDENT)),
    )),
    ("Encrypt, which this plugin also decrypts again before it answers", (
        ("KMIP, 1 client", "kmip 0s encrypt 1", (P50, CPU)),
        ("KMIP, 1 client, KMS takes 5 ms", "kmip 5ms encrypt 1", (P50,)),
        ("KMIP, 16 clients, KMS takes 5 ms", "kmip 5ms encrypt 16", (RATE, P99)),
        ("REST, 16 clients, KMS takes 5 ms", "rest 5ms encrypt 16", (RATE, P99)),
    )),
)

_QUIET = 0.5  # a load below which nothing else is to be reckoned with
_SIDES = ("this", "other")
_COLOURS = {"kmip": "#1965b0", "rest": "#dc050c"}


def number(value: float) -> str:
    """Three digits that matter, and all before the point."""
    if value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.{max(2 - math.floor(math.log10(abs(value))), 0)}f}"


def verdict(this: float, other: float, more_is_better: bool) -> str:
    """How this plugin does beside the other."""
    if this <= 0 or other <= 0:
        return "-"
    factor = this / other if more_is_better else other / this
    if 1 / 1.02 < factor < 1.02:
        return "the same"
    return f"{number(factor)} × better" if factor > 1 else f"{number(1 / factor)} × worse"


def median(measurement: dict[str, Any], side: str, kind: Kind) -> float:
    found: Any = measurement["median"][side]
    for name in kind.path:
        found = found[name]
    return float(found) * kind.factor


def _errors(measurement: dict[str, Any]) -> str:
    """Where calls failed although the KMS was there, what the figures are worth."""
    failed = [(side, sum(round_.get("errors", 0) for round_ in measurement[side]))
              for side in _SIDES]
    if measurement.get("kms_stopped") or not any(count for _, count in failed):
        return ""
    return " (failed calls: " + ", ".join(f"{side} {count}" for side, count in failed) + ")"


def _table(rows: Iterable[Row], figures: Figures) -> str:
    lines = [f"| | | this plugin | {figures['other']} | this one is |", "|---|---|---:|---:|---:|"]
    for what, name, kinds in rows:
        measurement = figures["measurements"].get(name)
        if measurement is None:
            continue
        for kind in kinds:
            this, other = (median(measurement, side, kind) for side in _SIDES)
            lines.append(f"| {what}{_errors(measurement)} | {kind.unit} | {number(this)} "
                         f"| {number(other)} | {verdict(this, other, kind.more_is_better)} |")
            what = ""
    return "\n".join(lines) + "\n"


def _bounds(figures: Figures) -> str:
    """Whose CPU time a Decrypt takes, and how much of the machine that is."""
    lines = ["| Decrypt | plugin | client, µs | plugin, µs | KMS, µs | cores busy |",
             "|---|---|---:|---:|---:|---:|"]
    for protocol in ("kmip", "rest"):
        for clients in (1, 64, 256):
            measurement = figures["measurements"].get(f"{protocol} 0s decrypt {clients}")
            for side in _SIDES if measurement else ():
                shares = [median(measurement, side, Kind((name,), "µs"))
                          for name in ("client_cpu_us_per_call", "cpu_us_per_call",
                                       "kms_cpu_us_per_call")]
                busy = sum(shares) * median(measurement, side, RATE) / 1e6
                plugin = "this" if side == "this" else figures["other"]
                lines.append(f"| {protocol.upper()}, {clients} at a time | {plugin} | "
                             + " | ".join(map(number, shares)) + f" | {busy:.2f} |")
    return "\n".join(lines) + "\n"


def _curves(figures: Figures, kind: Kind) -> Sequence[Curve]:
    curves = []
    for protocol, colour in _COLOURS.items():
        for side in _SIDES:
            points = [(float(clients), median(figures["measurements"][each], side, kind))
                      for clients in CLIENTS
                      if (each := f"{protocol} 0s decrypt {clients}") in figures["measurements"]]
            points = [(x, y) for x, y in points if y > 0]
            plugin = "this" if side == "this" else figures["other"]
            name = f"{protocol.upper()}, {plugin}"
            if points:
                curves.append(Curve(name, colour, side == "other", points))
    return curves


def plot(figures: Figures) -> str | None:
    """None when no Decrypt was measured."""
    panels = [Panel(title, "Decrypts at a time", curves)
              for title, kind in (("Plugin's CPU time a Decrypt, µs", CPU),
                                  ("Decrypts a second", RATE))
              if (curves := _curves(figures, kind))]
    return svg(panels) if panels else None


def markdown(figures: Figures) -> str:
    parts = [f"Medians of {figures['rounds']} rounds of {figures['seconds']:g} s each, "
             f"on {figures['machine']}."]
    if figures["load"] >= _QUIET:
        parts[0] += (f" Other work had put a load of {figures['load']:.0f} on the machine: "
                     "rates and latencies are rough.")
    parts[0] += "\n"
    for title, rows in _SECTIONS:
        parts.append(f"### {title}\n\n{_table(rows, figures)}")
    parts.append("### Whose CPU time it is, and how many cores are busy\n\n" + _bounds(figures))
    parts.append(f"### From 1 to {CLIENTS[-1]} at a time, KMS answers at once\n\n"
                 f"![CPU time a Decrypt, and Decrypts a second]({PLOT})\n")
    missing = [each.name for each in ALL if each.name not in figures["measurements"]]
    if missing:
        parts.append(f"Not measured: {', '.join(missing)}.\n")
    return "\n".join(parts)


def into(document: str, block: str) -> str:
    """The document with that block in place of the one between its marks."""
    before, begin, rest = document.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError("the document has no marks for the figures")
    return f"{before}{begin}\n{block}\n{end}{after}"
