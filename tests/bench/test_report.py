# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""What scripts/benchmark makes of figures: numbers, tables, curves, and their place."""

from __future__ import annotations

import unittest
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import plot
import report
from measurements import ALL, CLIENTS
from plot import Curve, Panel

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "performance.md"


def side(scale: float) -> dict[str, Any]:
    return {
        "per_second": 1000 * scale, "seconds": scale, "errors": 0,
        "cpu_us_per_call": 50 * scale, "client_cpu_us_per_call": 25 * scale,
        "kms_cpu_us_per_call": 5 * scale, "listening_ms": scale, "first_answer_ms": scale,
        "latency_ms": {"p50": scale, "p99": scale}, "memory": {"resident_kb": 2048, "threads": 9},
        "status": {"latency_ms": {"p99": scale}}, "encrypt": {"latency_ms": {"max": scale}},
    }


def compared(this: float, other: float, **settings: Any) -> dict[str, Any]:
    return {"median": {"this": side(this), "other": side(other)}, "this": [side(this)],
            "other": [side(other)], **settings}


def figures(**measurements: Any) -> report.Figures:
    return {"machine": "a machine", "load": 0.1, "rounds": 3, "seconds": 2.0, "other": "rival",
            "measurements": measurements}


def of_all() -> report.Figures:
    return figures(**{each.name: compared(2, 1) for each in ALL})


class Numbers(unittest.TestCase):
    def test_three_digits_and_all_before_the_point(self) -> None:
        for value, text in ((0, "0"), (0.04912, "0.0491"), (4.5678, "4.57"), (45.678, "45.7"),
                            (456.78, "457"), (13715.4, "13,715"), (9, "9"), (12000, "12,000")):
            self.assertEqual(report.number(value), text)

    def test_verdict(self) -> None:
        self.assertEqual(report.verdict(200, 100, True), "2 × better")
        self.assertEqual(report.verdict(200, 100, False), "2 × worse")
        self.assertEqual(report.verdict(10, 25, False), "2.50 × better")
        self.assertEqual(report.verdict(10, 25, True), "2.50 × worse")
        self.assertEqual(report.verdict(101, 100, True), "the same")
        self.assertEqual(report.verdict(1, 0, True), "-")


class Tables(unittest.TestCase):
    def test_a_row_for_each_figure(self) -> None:
        text = report.markdown(figures(**{"kmip 0s decrypt 256": compared(2, 1)}))
        self.assertIn("Medians of 3 rounds of 2 s each, on a machine.", text)
        self.assertIn("| | | this plugin | rival | this one is |", text)
        rows = [line for line in text.splitlines() if line.startswith(("| Decrypt, 256", "|  |"))]
        self.assertEqual(rows, [
            "| Decrypt, 256 clients | calls/s | 2,000 | 1,000 | 2 × better |",
            "|  | ms, p99 | 2 | 1 | 2 × worse |",
            "|  | µs of CPU a call | 100 | 50 | 2 × worse |",
            "|  | MiB resident | 2 | 2 | the same |",
            "|  | threads | 9 | 9 | the same |"])

    def test_every_measurement_has_its_rows(self) -> None:
        told = {name for _, rows in report._SECTIONS for _, name, _ in rows}
        curves = {f"{protocol} 0s decrypt {clients}"
                  for protocol in ("kmip", "rest") for clients in CLIENTS}
        self.assertEqual(told | curves, {each.name for each in ALL})
        self.assertNotIn("Not measured", report.markdown(of_all()))

    def test_what_is_missing_is_named(self) -> None:
        some = of_all()
        del some["measurements"]["kmip 5ms herd"]
        text = report.markdown(some)
        self.assertIn("Not measured: kmip 5ms herd.", text)
        self.assertNotIn("256 Decrypts at once", text)

    def test_failed_calls_are_named(self) -> None:
        measurement = compared(2, 1)
        measurement["other"][0]["errors"] = 7
        for stopped, count in ((False, 1), (True, 0)):
            measurement["kms_stopped"] = stopped
            text = report.markdown(figures(**{"kmip 5ms decrypt 1": measurement}))
            self.assertEqual(text.count("(failed calls: this 0, other 7)"), count)

    def test_a_busy_machine_is_said_to_be(self) -> None:
        busy = of_all()
        self.assertNotIn("a load of", report.markdown(busy))
        busy["load"] = 7.4
        self.assertIn("Other work had put a load of 7 on the machine", report.markdown(busy))

    def test_busy_cores_are_all_cpu_time_by_the_rate(self) -> None:
        text = report.markdown(figures(**{"rest 0s decrypt 64": compared(2, 1)}))
        self.assertIn("| REST, 64 at a time | this | 50 | 100 | 10 | 0.32 |", text)
        self.assertIn("| REST, 64 at a time | rival | 25 | 50 | 5 | 0.08 |", text)

    def test_take_the_place_of_those_before(self) -> None:
        document = f"head\n{report._BEGIN}old\n{report._END}tail\n"
        once = report.into(document, "new\n")
        self.assertEqual(once, f"head\n{report._BEGIN}\nnew\n\n{report._END}tail\n")
        self.assertEqual(report.into(once, "new\n"), once)
        with self.assertRaises(ValueError):
            report.into("head\n", "new\n")

    def test_have_a_place_in_the_document(self) -> None:
        if DOCUMENT.exists():  # a package's sources have no such document
            report.into(DOCUMENT.read_text(), "")


class Curves(unittest.TestCase):
    def test_ticks_surround_the_values(self) -> None:
        self.assertEqual(plot.ticks(30, 900), [20, 50, 100, 200, 500, 1000])
        self.assertEqual(plot.ticks(50, 100), [50, 100])
        self.assertEqual(plot.ticks(50, 50), [50, 100])

    def test_names_keep_their_distance(self) -> None:
        self.assertEqual(plot.spread([100, 0, 102, 50], 14), [100, 0, 114, 50])

    def test_axes_are_logarithmic(self) -> None:
        image = plot.svg([Panel("<title>", "x", [Curve("a", "red", True, [(1, 10), (16, 100)]),
                                                 Curve("b", "blue", False, [(4, 10), (16, 20)])])])
        root = ET.fromstring(image)
        paths = {path.get("stroke"): path for path in root.iter("{http://www.w3.org/2000/svg}path")}
        # From the left edge, bottom, to the right edge, top; and half of the way across.
        self.assertEqual(paths["red"].get("d"), "M60.0 350.0L330.0 50.0")
        self.assertTrue(paths["blue"].get("d", "").startswith("M195.0 350.0L330.0 "))
        self.assertEqual([paths[name].get("stroke-dasharray") is None for name in ("red", "blue")],
                         [False, True])
        texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
        for expected in ("<title>", "a", "b", "10", "100", "16"):
            self.assertIn(expected, texts)

    def test_of_figures(self) -> None:
        image = report.plot(of_all())
        assert image is not None
        for name in ("KMIP, this", "KMIP, rival", "REST, this", "REST, rival"):
            self.assertEqual(image.count(name), 2)  # one in each panel
        self.assertIsNone(report.plot(figures(**{"kmip start": compared(2, 1)})))


if __name__ == "__main__":
    unittest.main()
