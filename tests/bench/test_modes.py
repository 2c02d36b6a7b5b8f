# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""Each mode of okms-bench, and the script that uses it, on two plugins and a mock KMS: what is
counted, never how fast it was."""

from __future__ import annotations

import json
import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any

from scene import Programs, Scene

import runner

_LATENCIES = {"p50", "p90", "p99", "p99.9", "max"}


class Modes(unittest.TestCase):
    scene: Scene

    @classmethod
    def setUpClass(cls) -> None:
        folder = runner.temporary_folder()
        cls.addClassCleanup(folder.cleanup)
        plugin = runner.Programs.plugin
        cls.scene = Scene(Programs(plugin.parent, [str(plugin)]), Path(folder.name), "kmip", "0s")
        cls.addClassCleanup(cls.scene.stop)
        cls.scene.start()

    def compare(self, *arguments: str, rounds: int = 1) -> dict[str, Any]:
        result = self.scene.compare("--rounds", str(rounds), *arguments)
        self.assertEqual(result["rounds"], rounds)
        for side in ("this", "other"):
            self.assertEqual(len(result[side]), rounds)
            for figures in result[side]:
                self.assertGreater(figures["memory"]["resident_kb"], 1000)
                self.assertGreater(figures["memory"]["threads"], 1)
        return result

    def assert_all_answered(self, sample: dict[str, Any], calls: int | None = None) -> None:
        self.assertEqual(sample["errors"], 0, sample)
        self.assertEqual(sample["errors_by_text"], {})
        self.assertEqual(set(sample["latency_ms"]), _LATENCIES)
        self.assertGreater(sample["latency_ms"]["p50"], 0)
        if calls is None:
            self.assertGreater(sample["calls"], 0)
        else:
            self.assertEqual(sample["calls"], calls)

    def bench(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        program = runner.Programs.plugin.with_name("okms-bench")
        return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)

    def test_load(self) -> None:
        for operation in ("status", "encrypt", "decrypt"):
            with self.subTest(operation):
                before = self.scene.asked(operation)
                result = self.compare("--op", operation, "--clients", "3", "--connections", "2",
                                      "--seconds", "0.1", rounds=2)
                if operation != "status":  # which the KMS never sees
                    calls = sum(each["calls"] for each in result["this"] + result["other"])
                    self.assertGreaterEqual(self.scene.asked(operation) - before, calls)
                settings = {name: result[name] for name in ("operation", "clients", "connections")}
                self.assertEqual(settings,
                                 {"operation": operation, "clients": 3, "connections": 2})
                for figures in result["this"] + result["other"]:
                    self.assert_all_answered(figures)
                    self.assertGreaterEqual(figures["seconds"], 0.1)
                    self.assertIn("kms_cpu_us_per_call", figures)
                this, other = (result["median"][side]["per_second"] for side in ("this", "other"))
                self.assertAlmostEqual(result["ratio"]["per_second"], this / other)

    def test_herd(self) -> None:
        result = self.compare("--op", "herd", "--records", "20")
        self.assertEqual(result["records"], 20)
        for figures in result["this"] + result["other"]:
            self.assert_all_answered(figures, calls=20)
            self.assert_all_answered(figures["status"])
            self.assert_all_answered(figures["encrypt"])

    def test_cold_start(self) -> None:
        for in_flight, expected in ((4, 4), (0, 30)):
            with self.subTest(in_flight=in_flight):
                result = self.compare("--op", "cold", "--records", "30",
                                      "--in-flight", str(in_flight))
                self.assertEqual(result["in_flight"], expected)
                for figures in result["this"] + result["other"]:
                    self.assert_all_answered(figures, calls=30)

    def test_start(self) -> None:
        for figures in (result := self.compare("--op", "start"))["this"] + result["other"]:
            self.assertGreater(figures["listening_ms"], 0)
            self.assertGreaterEqual(figures["first_answer_ms"], figures["listening_ms"])

    def test_a_stopped_kms(self) -> None:
        result = self.compare("--op", "status", "--beside", "2", "--stop-kms", "--timeout", "1s",
                              "--seconds", "0.1")
        for figures in result["this"] + result["other"]:
            self.assert_all_answered(figures)
            self.assertGreaterEqual(figures["beside"]["calls"], 2)
            self.assertEqual(figures["beside"]["errors"], figures["beside"]["calls"])
        after = self.compare("--seconds", "0.1")  # it runs again
        self.assert_all_answered(after["this"][0])

    def test_prints_a_table(self) -> None:
        this, other = map(str, self.scene.sockets)
        done = self.bench("--sock", this, "--other", other, "--seconds", "0.1", "--rounds", "1",
                          "--markdown")
        self.assertEqual(done.returncode, 0, done.stderr)
        head, _, table = done.stdout.partition("\n\n")
        self.assertEqual(json.loads(head)["rounds"], 1)
        self.assertTrue(table.startswith("| median | this | other | this / other |\n"), table)
        self.assertIn("\n| latency_ms p99 | ", table)

    def test_one_plugin_alone(self) -> None:
        done = self.bench("--sock", str(self.scene.sockets[0]), "--seconds", "0.1")
        self.assertEqual(done.returncode, 0, done.stderr)
        figures = json.loads(done.stdout)
        self.assert_all_answered(figures)
        self.assertEqual((figures["operation"], figures["clients"]), ("decrypt", 1))

    def test_nobody_listens(self) -> None:
        there = str(self.scene.sockets[0])
        for arguments in (("--sock", "/nowhere"), ("--sock", there, "--other", "/nowhere")):
            done = self.bench("--seconds", "0.1", *arguments)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertEqual(done.stderr, "okms-bench: nobody listens on /nowhere\n")

    def test_the_script(self) -> None:
        with runner.temporary_folder() as folder:
            plugin = runner.Programs.plugin
            done = subprocess.run(
                [sys.executable, "-B", Path(__file__).with_name("benchmark.py"),
                 "--build", plugin.parent, "--out", folder, "--name", "rival", "--rounds", "1",
                 "--seconds", "0.1", "--only", "5ms decrypt 64", "--", plugin],
                capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            figures = json.loads((Path(folder) / "figures.json").read_text())
            self.assertLessEqual({"kmip 5ms decrypt 64", "rest 5ms decrypt 64"},
                                 set(figures["measurements"]))
            for measurement in figures["measurements"].values():
                self.assert_all_answered(measurement["this"][0])
                self.assert_all_answered(measurement["other"][0])
            table = (Path(folder) / "figures.md").read_text()
            self.assertIn("| | | this plugin | rival | this one is |", table)
            self.assertIn("| Decrypt, 64 clients, KMS takes 5 ms | calls/s | ", table)


if __name__ == "__main__":
    runner.main(__name__, list, programs=("plugin",))
