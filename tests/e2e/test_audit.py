# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""okms-kms-ctl audit of an etcd whose contents are known: counts, history, compaction, rights, TLS.

One etcd for all tests, in the order of their names.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))

# pylint: disable=wrong-import-position
import etcd_values as values  # noqa: E402
import runner  # noqa: E402
from filled_etcd import FilledEtcd  # noqa: E402
from pki import Pki  # noqa: E402
from processes import free_port  # noqa: E402
from runner import Programs  # noqa: E402

GOOD, FINDINGS, USAGE, CANNOT_TELL = range(4)
SECRETS, CONFIG_MAPS, THINGS = 60_000, 20_000, 20_000
SEEDS = 50
OTHERS = {"kms v1": values.kms_v1("okms", b"key"), "aescbc": values.local("aescbc", "key1"),
          "aesgcm": values.local("aesgcm", "key1"), "secretbox": values.local("secretbox", "key1"),
          "unknown provider": values.local("future", "key1"), "plain protobuf": values.protobuf(1),
          "malformed": values.kms_v2("okms", "key-1", b"seed")[:60], "unknown": b"\x01\x02"}
FIRST = 1_760_000_000  # seconds since 1970, of the first ConfigMap


def everything() -> Iterator[tuple[str, bytes]]:
    for number in range(CONFIG_MAPS):
        yield f"/registry/configmaps/a/{number:06}", values.protobuf(FIRST + number)
    for number in range(SECRETS):
        key = "key-1" if number % 3 else "key-2"
        yield (f"/registry/secrets/a/{number:06}",
               values.kms_v2("okms", key, b"seed %d" % (number % SEEDS)))
    for number in range(THINGS):
        yield f"/registry/example.com/things/a/{number:06}", values.custom("2026-01-02T03:04:05Z")
    for kind, value in OTHERS.items():
        yield f"/registry/secrets/b/{kind.replace(' ', '-')}", value


class Audit(unittest.TestCase):
    folder: Path
    pki: Pki
    etcd: FilledEtcd

    @classmethod
    def setUpClass(cls) -> None:
        temporary = runner.temporary_folder()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)
        cls.etcd = FilledEtcd(Programs.control_plane / "etcd", cls.folder / "etcd")
        cls.addClassCleanup(cls.etcd.stop)
        cls.etcd.start()
        cls.etcd.compact(cls.etcd.put(everything()))

    def test_1_counts(self) -> None:
        code, report = self.report()
        self.assertEqual(code, FINDINGS)  # what is malformed, and of no known form
        self.assertEqual(report["values"], SECRETS + CONFIG_MAPS + THINGS + len(OTHERS))
        found = {(group["resource"], group["kind"], group.get("key_id")): group["objects"]
                 for group in report["groups"]}
        self.assertEqual(found, {
            ("secrets", "kms v2", "key-1"): SECRETS // 3 * 2,
            ("secrets", "kms v2", "key-2"): SECRETS // 3,
            ("configmaps", "plain protobuf", None): CONFIG_MAPS,
            ("things.example.com", "plain json", None): THINGS,
            **{("secrets", kind, None): 1 for kind in OTHERS}})
        seeds = {group["key_id"]: group["seeds"] for group in report["groups"] if "key_id" in group}
        self.assertEqual(seeds, {"key-1": SEEDS, "key-2": SEEDS})
        self.assertEqual(report["cold_start_decrypts"], 2 * SEEDS + 1)

    def test_2_a_part_and_demands(self) -> None:
        of_config_maps = ("--prefix", "/registry/configmaps/")
        self.assertEqual(self.report(*of_config_maps)[0], GOOD)
        self.assertEqual(self.report(*of_config_maps, "--fail-on-plaintext")[0], GOOD)
        code, report = self.report(*of_config_maps, "--fail-on-plaintext=configmaps")
        self.assertEqual(code, FINDINGS)
        self.assertEqual([finding["id"] for finding in report["findings"] if finding["wrong"]],
                         ["plaintext"])
        of_some = ("--prefix", "/registry/secrets/a/00000")  # 0 to 9
        for key, expected in (("key-1", FINDINGS), ("key-3", FINDINGS)):
            self.assertEqual(self.report(*of_some, "--fail-unless-key", key)[0], expected)
        of_one = ("--prefix", "/registry/secrets/a/000001")
        self.assertEqual(self.report(*of_one, "--fail-unless-key", "key-1")[0], GOOD)

    def test_3_history(self) -> None:
        compacted = self.etcd.put([("/registry/pods/a/a", values.protobuf(FIRST))])
        self.etcd.compact(compacted)
        key = "/registry/secrets/a/000001"
        for number in range(3):
            self.etcd.put([(key, values.kms_v2("okms", f"old-{number}", b"seed"))])
        self.etcd.put([(key, values.kms_v2("okms", "key-1", b"seed 1"))])
        self.etcd.delete("/registry/secrets/a/000002")

        code, report = self.report("--history", "--prefix", "/registry/secrets/a/00000")
        self.assertEqual(code, GOOD)
        self.assertEqual(report["compacted_revision"], compacted)
        old = {group["key_id"]: group["objects"] for group in report["groups"]
               if group["standing"] == "old revision"}
        # The first was key-1's, and so was the one that was deleted.
        self.assertEqual(old, {"key-1": 2, "old-0": 1, "old-1": 1, "old-2": 1})
        live = sum(group["objects"] for group in report["groups"] if group["standing"] == "live")
        self.assertEqual(live, 9)
        lines = [finding["line"] for finding in report["findings"]]
        self.assertIn("key old-0 is still needed by 1 old revision of secrets", "; ".join(lines))

    def test_4_compaction_meanwhile(self) -> None:
        over = threading.Event()

        def compact() -> None:
            while not over.is_set():
                self.etcd.compact(self.etcd.put([("/registry/pods/a/a", b"{}")]))

        compacting = threading.Thread(target=compact)
        compacting.start()
        try:
            code, output = self.run_audit()
        finally:
            over.set()
            compacting.join()
        self.assertEqual(code, CANNOT_TELL)
        self.assertIn("compacted while it was read; again", output)
        self.assertEqual(output.count("\n"), 1)

    def test_5_where_etcd_is_not(self) -> None:
        gone = f"http://127.0.0.1:{free_port()}"
        code, output = self.run_audit("--prefix", "/registry/pods/", endpoints=gone)
        self.assertEqual((code, output.count("\n")), (CANNOT_TELL, 1), output)
        code, output = self.run_audit("--prefix", "/registry/pods/",
                                      endpoints=f"{gone},{self.url('http')}")
        self.assertEqual(code, GOOD, output)
        code, output = self.run_audit(endpoints=self.url("https"))
        self.assertEqual(code, CANNOT_TELL)
        self.assertIn("give http://", output)
        self.assertEqual(self.run_audit(endpoints="127.0.0.1:2379")[0], USAGE)

    def test_6_the_same_from_a_snapshot(self) -> None:
        _, live = self.report()
        self.etcd.stop()
        code, report = self.report(snapshot=self.folder / "etcd" / "data" / "member/snap/db")
        self.etcd.start()
        self.assertEqual(code, FINDINGS)
        for name in ("revision", "values", "groups", "cold_start_decrypts", "findings"):
            self.assertEqual(report[name], live[name], name)

    def test_7_rights_and_tls(self) -> None:
        cls = type(self)
        cls.pki = Pki(self.folder / "pki")
        other = Pki(self.folder / "other")
        for name in ("root", "reader", "nobody"):
            cls.pki.add_client(name)
        self.etcd.add_user("reader", "/registry/secrets/")
        self.etcd.add_user("nobody", "")
        self.etcd.call("auth/user/add", name="root", password="root")
        self.etcd.call("auth/user/grant", user="root", role="root")
        self.etcd.call("auth/enable")
        code, output = self.run_audit()
        self.assertEqual(code, CANNOT_TELL)
        self.assertIn("it wants a user", output)
        self.etcd.stop()
        self.etcd.start(self.pki)

        secrets = ("--history", "--prefix", "/registry/secrets/a/00000")
        code, output = self.run_with_tls("reader", *secrets)
        self.assertEqual(code, GOOD, output)
        for user, arguments, expected in (
                ("reader", (), "grant it a role with read"),
                ("nobody", secrets, "grant it a role with read")):
            code, output = self.run_with_tls(user, *arguments)
            self.assertEqual((code, output.count("\n")), (CANNOT_TELL, 1), output)
            self.assertIn(expected, output)

        code, output = self.run_with_tls("reader", "--etcd-cacert", str(other.authority))
        self.assertIn("not signed by a CA of --etcd-cacert", output)
        code, output = self.run_audit("--etcd-cacert", str(self.pki.authority),
                                      endpoints=self.url("https"))
        self.assertEqual((code, output.count("\n")), (CANNOT_TELL, 1), output)
        self.assertIn("--etcd-cert", output)
        code, output = self.run_audit(endpoints=self.url("http"))
        self.assertEqual((code, output.count("\n")), (CANNOT_TELL, 1), output)
        self.assertIn("give https://", output)

    # ---- The parts

    def url(self, scheme: str) -> str:
        return f"{scheme}://127.0.0.1:{self.etcd.port}"

    def run_with_tls(self, user: str, *arguments: str) -> tuple[int, str]:
        ca = () if "--etcd-cacert" in arguments else ("--etcd-cacert", str(self.pki.authority))
        return self.run_audit(*ca, "--etcd-cert", str(self.pki.certificate(user)), "--etcd-key",
                              str(self.pki.key(user)), *arguments, endpoints=self.url("https"))

    def run_audit(self, *arguments: str, endpoints: str = "",
                  snapshot: Path | None = None) -> tuple[int, str]:
        """Its exit code, and its report or its complaint."""
        source = (("--snapshot", str(snapshot)) if snapshot else
                  ("--endpoints", endpoints or self.url("http")))
        done = subprocess.run([Programs.ctl, "audit", *source, *arguments], check=False,
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.stderr == "", done.returncode in (GOOD, FINDINGS), done.stderr)
        return done.returncode, done.stdout + done.stderr

    def report(self, *arguments: str, snapshot: Path | None = None) -> tuple[int, Any]:
        code, output = self.run_audit("-o", "json", *arguments, snapshot=snapshot)
        report = json.loads(output)
        self.assertEqual(report["exit_code"], code)
        return code, report


def missing() -> list[str]:
    return runner.missing_programs(Programs.control_plane, ("etcd",),
                                   f"scripts/control-plane {Programs.control_plane}")


if __name__ == "__main__":
    runner.main("__main__", missing, programs=("ctl",), control_plane=True)
