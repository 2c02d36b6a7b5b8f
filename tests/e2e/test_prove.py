# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""okms-kms-ctl audit --prove-readable and --plan: an etcd with what the real plugin has wrapped.

One etcd and one plugin for all tests, in the order of their names. The KMS is the mock, over KMIP.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))

# pylint: disable=wrong-import-position
import etcd_values as values  # noqa: E402
import runner  # noqa: E402
from cluster import Ground  # noqa: E402
from filled_etcd import FilledEtcd  # noqa: E402
from peers import Plugin  # noqa: E402
from processes import free_port  # noqa: E402
from runner import Programs  # noqa: E402

GOOD, FINDINGS, USAGE, CANNOT_TELL = range(4)
OBJECTS = 30
SEEDS = 3


class Prove(Ground):
    etcd: FilledEtcd
    plugin: Plugin
    pages: str
    seeds: list[bytes]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.pages = f"127.0.0.1:{free_port()}"
        cls.plugin = cls.new_plugin(0, key_id="key-1", flags=("--status-listen", cls.pages))
        cls.addClassCleanup(lambda: cls.plugin.stop())
        cls.plugin.start()
        cls.plugin.ready()
        cls.etcd = FilledEtcd(Programs.control_plane / "etcd", cls.folder / "etcd")
        cls.addClassCleanup(cls.etcd.stop)
        cls.etcd.start()
        cls.seeds = [os.urandom(32) for _ in range(SEEDS)]
        wrapped = [cls.wrapped(seed) for seed in cls.seeds]
        for number in range(OBJECTS):
            cls.etcd.put([(f"/registry/secrets/a/{number:02}", wrapped[number % SEEDS])])

    def test_1_each_seed_is_asked_for_once(self) -> None:
        before = self.decrypts()
        code, report, _ = self.report("--prove-readable", "--plan", "--history")
        self.assertEqual(code, GOOD, report)
        self.assertEqual(report["proof"]["seeds"], SEEDS)
        self.assertEqual([(key["key_id"], key["readable"]) for key in report["proof"]["keys"]],
                         [("key-1", SEEDS)])
        self.assertGreater(report["proof"]["slowest_ms"], 0)
        self.assertIn("one after the other, at ", json.dumps(report["findings"]))
        self.assertEqual(self.decrypts() - before, SEEDS)
        self.assertEqual(report["plan"]["target"], "key-1")
        self.assertEqual(report["plan"]["target_origin"], "the one that the plugin has")
        self.assertEqual(report["plan"]["step"], "look at freed pages")

    def test_2_no_seed_is_shown_or_left(self) -> None:
        _, _, text = self.report("--prove-readable", "--verbose", output="text")
        self.assertIn(f"{SEEDS} of {SEEDS} seeds can be unwrapped: under key key-1 {SEEDS}; slowest",
                      text)
        for seed in self.seeds:
            self.assertNotIn(seed.hex(), text)

    def test_3_what_is_refused(self) -> None:
        other = self.wrapped(os.urandom(32), key_id="key-0")
        self.etcd.put([("/registry/secrets/b/0", other), ("/registry/secrets/b/1", other)])
        # Its own provider is good as before.
        self.etcd.put([("/registry/secrets/c/0",
                        values.kms_v2("another", "key-1", b"nothing of the plugin"))])
        code, report, _ = self.report("--prove-readable")
        self.assertEqual(code, FINDINGS)
        proof = report["proof"]
        self.assertEqual((proof["seeds"], proof["readable"]), (SEEDS + 2, SEEDS))
        refused = {each["key_id"]: each for each in proof["refused"]}
        self.assertEqual(refused["key-0"]["objects"], 2)
        self.assertEqual(refused["key-0"]["first"][0], "/registry/secrets/b/0")
        self.assertTrue(refused["key-0"]["line"])
        wrong = [each["id"] for each in report["findings"] if each["wrong"]]
        self.assertEqual(wrong, ["unreadable", "unreadable"])
        _, report, _ = self.report("--prove-readable", "--provider", "okms")
        self.assertEqual(report["proof"]["seeds"], SEEDS + 1)

    def test_4_what_is_left_to_rewrite(self) -> None:
        _, _, text = self.report("--plan", output="text")
        self.assertIn("key key-1 is of two providers, another and okms", text.splitlines()[0])
        for key in ("/registry/secrets/c/0", "/registry/secrets/a/00"):
            self.etcd.put([(key, self.wrapped(self.seeds[0]))])
        code, _, text = self.report("--plan", output="text")
        self.assertEqual(code, GOOD)
        self.assertRegex(text.splitlines()[0],
                         r"^all written since revision \d+ is under key key-1: migrate the rest "
                         r"\(2 objects\)$")
        self.assertIn("kubectl get secrets -A -o json | kubectl replace -f -", text)
        _, report, _ = self.report("--plan", "--kubernetes", "1.37")
        self.assertIn("kind: StorageVersionMigration", report["plan"]["rewrites"][0]["manifest"])

    def test_5_the_command_line(self) -> None:
        for arguments in (("--prove-readable", "--rate", "0"), ("--provider", "okms"),
                          ("--kubernetes", "1.37"), ("--plan", "--kubernetes", "x"),
                          ("--plan", "--apiserver-metrics", "https://host/metrics"),
                          ("--plan", "--apiserver-metrics", str(self.folder / "gone"))):
            code, _, text = self.report(*arguments, output="text")
            self.assertEqual((code, text.count("\n")), (USAGE, 1), text)

    def test_6_a_plugin_that_is_not_there(self) -> None:
        for option in ("--prove-readable", "--plan"):
            code, _, text = self.report(option, output="text", socket=self.folder / "gone.sock")
            self.assertEqual((code, text.count("\n")), (CANNOT_TELL, 1), text)
            self.assertIn("gone.sock", text)

    def test_6_the_plugin_answers_nobody(self) -> None:
        os.kill(self.plugin.process.pid, signal.SIGSTOP)
        try:
            code, _, text = self.report("--prove-readable", output="text")
        finally:
            os.kill(self.plugin.process.pid, signal.SIGCONT)
        self.assertEqual((code, text.count("\n")), (CANNOT_TELL, 1), text)
        self.assertIn("DEADLINE_EXCEEDED", text)

    def test_7_a_plugin_that_ends_meanwhile(self) -> None:
        for number in range(40):
            self.etcd.put([(f"/registry/secrets/d/{number:02}", self.wrapped(os.urandom(32)))])
        before = self.decrypts()
        with subprocess.Popen([*self.argv(), "--prove-readable", "--rate", "4"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as audit:
            self.plugin.process.wait_until(lambda: self.decrypts() > before, "a Decrypt", 30)
            self.plugin.stop()
            output, complaint = audit.communicate(timeout=60)
        self.assertEqual((audit.returncode, output, complaint.count("\n")), (CANNOT_TELL, "", 1))
        self.assertIn(f"the plugin cannot be reached: {self.plugin.socket}: ", complaint)

    # ---- The parts

    def argv(self, socket: Path | None = None) -> list[str]:
        return [str(Programs.ctl), "audit", "--endpoints", f"http://127.0.0.1:{self.etcd.port}",
                "--socket", str(socket or self.plugin.socket)]

    @classmethod
    def wrapped(cls, seed: bytes, key_id: str = "") -> bytes:
        """A value as kube-apiserver has it. `key_id`: says another key than it is wrapped with."""
        answer = cls.plugin.encrypt(seed).body
        annotations = {name: bytes.fromhex(value)
                       for name, value in answer["annotations"].items()}
        return values.kms_v2("okms", key_id or answer["key_id"],
                             bytes.fromhex(answer["ciphertext"]), annotations=annotations)

    def decrypts(self) -> int:
        """Those that the plugin has answered well."""
        done = subprocess.run([Programs.ctl, "status", "--status", self.pages, "-o", "json"],
                              check=True, capture_output=True, text=True, timeout=60)
        return int(json.loads(done.stdout)["methods"]["Decrypt"]["by_code"].get("OK", 0))

    def report(self, *arguments: str, output: str = "json",
               socket: Path | None = None) -> tuple[int, Any, str]:
        done = subprocess.run(
            [*self.argv(socket), "-o", output, *arguments], check=False, capture_output=True,
            text=True, timeout=60)
        self.assertEqual(done.stderr == "", done.returncode in (GOOD, FINDINGS), done.stderr)
        return (done.returncode, json.loads(done.stdout) if output == "json" else None,
                done.stdout + done.stderr)


def missing() -> list[str]:
    return runner.missing_programs(Programs.control_plane, ("etcd",),
                                   f"scripts/control-plane {Programs.control_plane}")


if __name__ == "__main__":
    runner.main("__main__", missing, programs=("ctl", "plugin", "kms_call", "mock_kms"),
                control_plane=True)
