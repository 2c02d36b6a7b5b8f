# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""The KMS is away for four minutes: what is in kube-apiserver's memory is readable all the time,
writes go on for almost three minutes, then fail, and all is well by itself when the KMS is back."""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
import cluster  # noqa: E402
from cluster import PATIENCE, Cluster  # noqa: E402
from control_plane import stage  # noqa: E402
from objects import KINDS, Kind, define_widgets, new_value  # noqa: E402
from processes import wait_until  # noqa: E402

OUTAGE = 240.0
# kube-apiserver writes for three minutes after a Status that was good. The last one is up to 20 s older
# than the outage, or up to 20 s younger: the plugin's next check is up to 10 s away, and 10 s of
# silence make an error.
FIRST_REFUSED, LAST_ACCEPTED = 155.0, 205.0
RECOVERY = 30.0


class Outage(Cluster):
    expected: dict[tuple[Kind, str], bytes] = {}
    outage_began = 0.0

    def test_1_before(self) -> None:
        define_widgets(self.nodes[0].apiserver)
        for kind in KINDS:
            for number in range(5):
                self.expected[kind, f"object-{number}"] = new_value()
                kind.create(self.nodes[0].apiserver, f"object-{number}",
                            self.expected[kind, f"object-{number}"])
        self.assert_all_are_readable()

    def test_2_the_kms_goes_away(self) -> None:
        type(self).outage_began = time.monotonic()
        self.kms.stop()
        plugin, api = self.nodes[0]
        with stage("KMS away: Status says so"):
            wait_until(lambda: plugin.status().code == "UNAVAILABLE", "error from the plugin",
                       PATIENCE)
        with stage("KMS away: kube-apiserver is not ready"):
            api.wait_until_it_misses_the_kms(PATIENCE)
        self.assert_all_are_readable()
        self.write_all()

    def test_3_writes_go_on_for_three_minutes(self) -> None:
        refused = wait_until(self.first_refusal, "refused write", LAST_ACCEPTED, every=1.0)
        lasted = time.monotonic() - self.outage_began
        print(f"\n  writes refused after {lasted:.0f} s", file=sys.stderr, end=" ")
        self.assertGreater(lasted, FIRST_REFUSED)
        self.assertLess(lasted, LAST_ACCEPTED)
        self.assertRegex(refused, "500 .*expired")

    def test_4_reads_go_on_after_that(self) -> None:
        def over() -> bool:
            self.assertTrue(self.first_refusal(), "no write is accepted")
            return time.monotonic() - self.outage_began >= OUTAGE

        wait_until(over, "end of the outage", OUTAGE, every=1.0)
        self.assertFalse(self.nodes[0].plugin.status().ok)

    def test_5_the_kms_is_back(self) -> None:
        plugin, api = self.nodes[0]
        self.kms.start()
        with stage("KMS back: Status is good"):
            plugin.ready(RECOVERY)
        with stage("KMS back: kube-apiserver is ready"):
            api.wait_ready(RECOVERY)
        wait_until(lambda: not self.first_refusal(), "accepted write", RECOVERY)
        self.write_all()
        self.assert_all_are_readable()
        self.assertEqual(self.all_stored_under(), {"key-1"})
        self.audit("--fail-unless-key", "key-1", "--fail-on-plaintext", ",".join(self.RESOURCES))

    def write_all(self) -> None:
        for kind, name in self.expected:
            value = new_value()
            kind.change(self.nodes[0].apiserver, name, value)
            self.expected[kind, name] = value

    def first_refusal(self) -> str:
        """Of one write; everything is readable before and after it."""
        self.assert_all_are_readable()
        refusal = ""
        kind, name = next(iter(self.expected))
        value = new_value()
        try:
            kind.change(self.nodes[0].apiserver, name, value)
            self.expected[kind, name] = value
        except RuntimeError as error:
            refusal = str(error)
        self.assert_all_are_readable()
        return refusal

    def assert_all_are_readable(self) -> None:
        for kind in KINDS:
            wanted = {name: value for (each, name), value in self.expected.items() if each == kind}
            found = kind.read_all(self.nodes[0].apiserver)
            self.assertEqual({name: found.get(name) for name in wanted}, wanted)
            for name, value in wanted.items():
                self.assertEqual(kind.read(self.nodes[0].apiserver, name), value)


if __name__ == "__main__":
    cluster.main()
