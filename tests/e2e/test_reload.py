# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""Encryption is switched on and off by the file of --encryption-provider-config: in an apiserver
that reads it again by itself (--encryption-provider-config-automatic-reload=true, once a minute),
beside one that does not, on the same etcd."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
import cluster  # noqa: E402
from cluster import PATIENCE, PROVIDER, Cluster  # noqa: E402
from control_plane import IDENTITY, ApiServer, encryption, kms_provider, stage  # noqa: E402
from objects import SECRETS, new_value  # noqa: E402
from peers import Plugin  # noqa: E402

RELOADS = "apiserver_encryption_config_controller_automatic_reloads_total"
ENCRYPTED = f"k8s:enc:kms:v2:{PROVIDER}:".encode()
IN_CLEAR = b"k8s\0"


class Reload(Cluster):
    NODES = 2
    expected: dict[str, bytes] = {}
    reloading: ApiServer
    other: ApiServer

    @classmethod
    def encryption(cls, plugin: Plugin) -> dict[str, Any]:
        return encryption([SECRETS.resource], IDENTITY)

    @classmethod
    def flags(cls, node: int) -> tuple[str, ...]:
        return ("--encryption-provider-config-automatic-reload=true",) if node == 0 else ()

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.reloading, cls.other = (node.apiserver for node in cls.nodes)

    def test_1_in_clear(self) -> None:
        self.write(self.reloading, "clear")
        self.assert_begins("clear", IN_CLEAR)
        self.audit("--fail-on-plaintext", wrong={"plaintext"})

    def test_2_encryption_is_switched_on(self) -> None:
        self.configure(self.provider(), IDENTITY)
        self.wait_for_reload("success", 1)
        self.write(self.reloading, "encrypted")
        self.assert_begins("encrypted", ENCRYPTED)
        self.assert_begins("clear", IN_CLEAR)  # until it is written again
        self.assert_all_are_readable(self.reloading)

        # The other one goes on as it was started.
        self.write(self.other, "still-in-clear")
        self.assert_begins("still-in-clear", IN_CLEAR)
        with self.assertRaisesRegex(RuntimeError, "500 .*no matching prefix found"):
            SECRETS.read(self.other, "encrypted")
        self.other.stop()
        self.other.start()
        self.other.wait_ready(PATIENCE)
        self.assert_all_are_readable(self.other)
        self.write(self.other, "after-restart")
        self.assert_begins("after-restart", ENCRYPTED)

        self.audit("--fail-on-plaintext", wrong={"plaintext"})
        SECRETS.rewrite_all(self.reloading)
        self.assertEqual(self.all_stored_under([SECRETS]), {"key-1"})
        self.audit("--fail-on-plaintext", "--fail-unless-key", "key-1")

    def test_3_an_absent_plugin_changes_nothing(self) -> None:
        absent = kms_provider("absent", self.folder / "absent.sock")
        self.configure(absent, self.provider(), IDENTITY)
        self.wait_for_reload("failure", 1)
        self.assertTrue(self.reloading.readiness().ok)
        self.write(self.reloading, "after-failure")
        self.assert_begins("after-failure", ENCRYPTED)
        self.assert_all_are_readable(self.reloading)

    def test_4_encryption_is_switched_off(self) -> None:
        self.configure(IDENTITY, self.provider())
        self.wait_for_reload("success", 2)
        self.write(self.reloading, "clear-again")
        self.assert_begins("clear-again", IN_CLEAR)
        self.assert_begins("after-failure", ENCRYPTED)
        self.assert_all_are_readable(self.reloading)
        SECRETS.rewrite_all(self.reloading)
        for name in self.expected:
            self.assert_begins(name, IN_CLEAR)
        self.assert_all_are_readable(self.other)
        self.audit("--fail-on-plaintext", wrong={"plaintext"})
        self.assertEqual(self.audited_keys(self.audit()), {})

    # ---- The parts

    def configure(self, *providers: dict[str, Any]) -> None:
        for api in (self.reloading, self.other):
            api.configure(encryption([SECRETS.resource], *providers))

    def provider(self) -> dict[str, Any]:
        return kms_provider(PROVIDER, self.nodes[0].plugin.socket)

    def wait_for_reload(self, status: str, count: int) -> None:
        with stage(f"reload, {status}"):
            self.reloading.process.wait_until(
                lambda: self.reloading.metric(RELOADS, f'status="{status}"') >= count,
                f"{status} of a reload", PATIENCE, every=1.0)

    def write(self, api: ApiServer, name: str) -> None:
        self.expected[name] = new_value()
        SECRETS.create(api, name, self.expected[name])

    def assert_begins(self, name: str, prefix: bytes) -> None:
        stored = self.etcd.stored(SECRETS.folder + name)
        self.assertEqual(stored[:len(prefix)], prefix)
        self.assertEqual(self.expected[name] in stored, prefix == IN_CLEAR)

    def assert_all_are_readable(self, api: ApiServer) -> None:
        for name, value in self.expected.items():
            self.assertEqual(SECRETS.read(api, name), value)


if __name__ == "__main__":
    cluster.main()
