# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""From keys in a file to the KMS and on to plain text, with what okms-kms-ctl encryption-config writes.

docs/guides/migrate.md and back.md, with one kube-apiserver, which is started with each file in turn and
so has nothing in its memory. One cluster for all tests, in the order of their names.
"""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))

# pylint: disable=wrong-import-position
import cluster  # noqa: E402
from cluster import PATIENCE, Cluster  # noqa: E402
from control_plane import ApiServer, stage  # noqa: E402
from objects import CONFIG_MAPS, SECRETS, new_value  # noqa: E402
from peers import Plugin  # noqa: E402
from runner import Programs  # noqa: E402

KMS = b"k8s:enc:kms:v2:okms:"
AES = b"k8s:enc:aescbc:v1:1:"
PLAIN = b"k8s\x00"
BOTH = (SECRETS, CONFIG_MAPS)


class Migration(Cluster):
    plugin: Plugin
    apiserver: ApiServer
    file: Path  # kube-apiserver's
    key = base64.b64encode(os.urandom(32)).decode()
    values: dict[str, bytes] = {}

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.plugin, cls.apiserver = cls.nodes[0]
        cls.file = cls.folder / "apiserver-0" / "encryption.json"

    @classmethod
    def encryption(cls, plugin: Plugin) -> dict[str, Any]:
        return {
            "apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration",
            "resources": [
                {"resources": ["secrets", "configmaps"], "providers": [
                    {"aescbc": {"keys": [{"name": "1", "secret": cls.key}]}}, {"identity": {}}]},
                {"resources": ["*.apps"], "providers": [{"identity": {}}]}]}

    def test_1_before(self) -> None:
        self.write("first")
        self.expect_stored(first=AES)

    def test_2_readers(self) -> None:
        self.next_file("--from", str(self.file), "--step", "readers")
        self.assertIn(self.key, self.file.read_text())
        self.write("second")
        self.expect_stored(first=AES, second=AES)

    def test_3_writer(self) -> None:
        self.next_file("--from", str(self.file), "--step", "writer")
        self.write("third")
        self.expect_stored(first=AES, second=AES, third=KMS)
        self.rewrite_all()
        self.expect_stored(first=KMS, second=KMS, third=KMS)

    def test_4_only(self) -> None:
        self.next_file("--from", str(self.file), "--step", "only")
        self.assertNotIn(self.key, self.file.read_text())
        self.write("fourth")
        self.expect_stored(first=KMS, second=KMS, third=KMS, fourth=KMS)

    def test_5_back_to_plain_text(self) -> None:
        resources = ("--resource", "secrets", "--resource", "configmaps", "--resource", "*.apps")
        self.next_file(*resources, "--step", "writer", "-o", "json")
        self.expect_stored(first=KMS)
        self.next_file(*resources, "--step", "readers")
        self.expect_stored(first=KMS)
        self.rewrite_all()
        self.expect_stored(first=PLAIN, second=PLAIN, third=PLAIN, fourth=PLAIN)

    def test_6_kube_apiserver_takes_whatever_is_written(self) -> None:
        """With a file that it refuses it ends at the start; with a name of no resource it does not, so
        that is refused here."""
        before = self.folder / "before.yaml"
        before.write_text(yaml.safe_dump({
            "apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration",
            "resources": [
                {"resources": ["events"], "providers": [{"identity": {}}]},
                {"resources": ["secrets", "configmaps"], "providers": [
                    {"kms": {"apiVersion": "v2", "name": "other", "timeout": "500ms",
                             "endpoint": "unix:///run/nobody.sock"}}, {"identity": {}}]},
                {"resources": ["*.*"], "providers": [
                    {kind: {"keys": [{"name": name, "secret": self.key}]}}
                    for kind, name in (("secretbox", "yes"), ("aesgcm", "1e3"), ("aescbc", "~"))
                ] + [{"identity": {}}]}]}))
        plugin = ["--socket", str(self.plugin.socket)]
        for arguments in (
                [*plugin, "--resource", "*.*", "--name", "okms/v2@east", "--timeout", "1m"],
                ["--socket", "@kms", "--timeout", "500ms", "-o", "json", "--resource", "*.",
                 "--resource", "*.apps", "--resource", "widgets.example.com"],
                [*plugin, "--from", str(before), "--resource", "secrets", "--resource", "configmaps"],
                [*plugin, "--from", str(before), "--resource", "*.*", "--step", "readers"]):
            with self.subTest(arguments), stage(" ".join(arguments[2:])):
                self.write_new(*arguments)
                self.apiserver.process.stop(signal.SIGKILL)  # some cannot end for want of a plugin
                self.new.rename(self.file)
                self.apiserver.start()
                self.apiserver.process.wait_until(
                    lambda: self.apiserver.readiness() is not None, "an answer", PATIENCE)
        self.assertEqual(subprocess.run([Programs.ctl, "encryption-config", "--resource", "secret"],
                                        capture_output=True, check=False).returncode, 2)

    # ---- The parts

    @property
    def new(self) -> Path:
        return self.folder / "new"

    def write_new(self, *arguments: str) -> None:
        subprocess.run([Programs.ctl, "encryption-config", "-f", self.new, *arguments], check=True)

    def next_file(self, *arguments: str) -> None:
        """kube-apiserver starts with what okms-kms-ctl writes."""
        self.write_new("--socket", str(self.plugin.socket), *arguments)
        self.apiserver.stop()
        self.new.rename(self.file)
        with stage(" ".join(arguments[-2:])):
            self.apiserver.start()
            self.apiserver.wait_ready(PATIENCE)

    def write(self, name: str) -> None:
        self.values[name] = new_value()
        for kind in BOTH:
            kind.create(self.apiserver, name, self.values[name])

    def rewrite_all(self) -> None:
        for kind in BOTH:
            kind.rewrite_all(self.apiserver)

    def expect_stored(self, **prefixes: bytes) -> None:
        """By whom each is stored, and that all can be read."""
        for kind in BOTH:
            for name, prefix in prefixes.items():
                stored = self.etcd.stored(kind.folder + name)
                self.assertTrue(stored.startswith(prefix), (kind.folder, name, stored[:40]))
            for name, value in self.values.items():
                self.assertEqual(kind.read(self.apiserver, name), value, name)


if __name__ == "__main__":
    cluster.main()
