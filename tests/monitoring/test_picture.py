# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""Of picture.py what needs no Prometheus: queries as Grafana asks them, and each panel drawn from made-up answers."""

from __future__ import annotations

import json
import unittest
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from pathlib import Path

import drawing
import grafana
from grafana import Json, Series, Span

DASHBOARD: Json = json.loads(
    (Path(__file__).resolve().parents[2] / "monitoring/dashboard.json").read_text())
SPAN = Span(1000, 1300, 2)
LABELS = {"instance": "<cp-1>", "host": "kms", "key": "sha256:0123"}


def panel_of(title: str) -> Json:
    return next(panel for panel in DASHBOARD["panels"] if panel["title"] == title)


class Recorder:
    """A Prometheus that knows one series, and remembers what it was asked."""

    def __init__(self, value: str) -> None:
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        self._value = value

    def __call__(self, path: str, parameters: Mapping[str, str]) -> Sequence[Json]:
        self.asked.append((path, parameters))
        if path == "query":
            return [{"metric": LABELS, "value": [SPAN.end, self._value]}]
        return [{"metric": LABELS, "values": [[1000, self._value], [1002, "NaN"], [1004, self._value]]}]


class Queries(unittest.TestCase):
    def test_intervals_are_grafanas(self) -> None:
        self.assertEqual(SPAN.step(400), 2)  # not between two looks of Prometheus
        self.assertEqual(SPAN.rate_interval(400), 8)
        self.assertEqual(Span(0, 6 * 3600, 15).step(400), 54)
        self.assertEqual(Span(0, 6 * 3600, 15).rate_interval(400), 69)

    def test_variables(self) -> None:
        self.assertEqual(grafana.variables(DASHBOARD), {"job": "okms-kms.*", "instance": ".*"})
        self.assertEqual(grafana.substitute('x{job=~"$job"}[${job}] $1', {"job": "a"}), 'x{job=~"a"}[a] $1')
        with self.assertRaises(KeyError):
            grafana.substitute("$node", {"job": "a"})

    def test_asks_as_the_panel_says(self) -> None:
        ask = Recorder("1")
        values = grafana.variables(DASHBOARD)
        grafana.series(panel_of("Calls"), values, SPAN, 400, ask)
        grafana.series(panel_of("Ready"), values, SPAN, 400, ask)
        self.assertEqual(ask.asked, [
            ("query_range", {"query": 'sum by (method, code) (rate(okms_kms_requests_total'
                             '{job=~"okms-kms.*", instance=~".*"}[8s]))',
                             "start": "1000.000", "end": "1300.000", "step": "2"}),
            ("query", {"query": 'okms_kms_ready{job=~"okms-kms.*", instance=~".*"}', "time": "1300.000"})])

    def test_who_says_nothing_is_named(self) -> None:
        panel = panel_of("Connections")
        nothing = Series("B", "", {}, [])
        self.assertEqual(grafana.silent(panel, [Series("A", "", {}, [(1, 0)]), nothing]), {"B"})
        found = grafana.series(panel, grafana.variables(DASHBOARD), SPAN, 400, Recorder("NaN"))
        self.assertEqual(grafana.silent(panel, found), {"A", "B"})


class Words(unittest.TestCase):
    def test_numbers(self) -> None:
        for value, unit, text in ((0.0123, "s", "12.3 ms"), (172800, "s", "2 days"), (90, "s", "1.5 mins"),
                                  (0, "s", "0 s"), (0.05, "percentunit", "5%"), (1500, "short", "1.5 K"),
                                  (0.25, "ops", "0.25 ops/s"), (12, "reqps", "12 req/s")):
            self.assertEqual(grafana.number(value, unit), text)
        self.assertEqual(grafana.number(16.4, "short", 0), "16")

    def test_colours(self) -> None:
        one = Series("A", "", {}, [])
        self.assertEqual(grafana.colour(panel_of("Ready"), one, 0), "red")
        self.assertEqual(grafana.text_of(panel_of("Ready"), 0), "not ready")
        self.assertEqual(grafana.colour(panel_of("Landlock"), one, 0), "orange")
        self.assertEqual(grafana.colour(panel_of("Landlock"), one, 4), "green")
        self.assertEqual(grafana.colour(panel_of("Answer"), Series("B", "", {}, []), 1), "red")

    def test_overrides(self) -> None:
        for name, colour in (("Decrypt OK", None), ("Decrypt UNAVAILABLE", "red")):
            self.assertEqual(grafana.fixed_colour(panel_of("Calls"), Series("A", name, {}, [])), colour)
        self.assertEqual(grafana.fixed_colour(panel_of("Operations"), Series("A", "kms failed", {}, [])), "red")

    def test_table(self) -> None:
        labels = {"__name__": "x", "job": "j", "instance": "cp-1", "version": "1", "protocol": "kmip"}
        self.assertEqual(grafana.table(panel_of("Programs"), [Series("A", "", labels, [(1, 1)])]),
                         [["Plugin", "Protocol", "Version"], ["cp-1", "kmip", "1"]])


class Drawing(unittest.TestCase):
    def test_levels(self) -> None:
        self.assertEqual(drawing.levels(0), [0, 1])
        self.assertEqual(drawing.levels(4.2), [0, 1, 2, 3, 4, 5])
        self.assertEqual(drawing.levels(55), [0, 20, 40, 60])

    def test_simplified(self) -> None:
        self.assertEqual(drawing.simplified([(0, 0), (1, 0.1), (2, 0), (3, 9)], 0.3), [(0, 0), (2, 0), (3, 9)])

    def test_a_gap_is_a_gap(self) -> None:
        self.assertEqual([len(run) for run in drawing.runs([(0, 1), (2, 1), (6, 1)], 2)], [2, 1])

    def test_states(self) -> None:
        points = [(0.0, 1.0), (2.0, 1.0), (4.0, 0.0), (8.0, 0.0)]
        self.assertEqual(list(drawing.states(points, 2)), [(0, 4, 1), (4, 6, 0), (8, 10, 0)])

    def test_every_panel_can_be_drawn(self) -> None:
        for value in ("0", "1", "NaN"):
            panels = [(panel, grafana.series(panel, grafana.variables(DASHBOARD), SPAN, 400, Recorder(value))
                       if panel["type"] != "row" else []) for panel in DASHBOARD["panels"]]
            image = drawing.svg(panels, SPAN)
            texts = ["".join(each.itertext()) for each in ET.fromstring(image).iter()]
            for panel, _ in panels:
                self.assertTrue(any(panel["title"] in text for text in texts), panel["title"])
            self.assertEqual("not ready" in texts, value == "0")
            self.assertEqual("No data" in texts, value == "NaN")

    def test_what_is_not_ready_is_red(self) -> None:
        for value, colour in ((0.0, "#E02F44"), (1.0, "#56A64B")):
            found = [Series("A", "cp-1", {}, [(1000, value), (1002, value)])]
            for title in ("Ready", "Ready, over time", "Hosts", "Files"):
                self.assertIn(f'fill="{colour}"', "".join(drawing.panel_svg(panel_of(title), found, SPAN)), title)


if __name__ == "__main__":
    unittest.main()
