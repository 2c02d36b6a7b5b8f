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
import unittest
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))

# pylint: disable=wrong-import-position
import runner  # noqa: E402
from control_plane import ApiServer, Etcd, encryption, kms_provider, stage  # noqa: E402
from okms import OkmsMock  # noqa: E402
from peers import Plugin  # noqa: E402
from pki import Pki  # noqa: E402
from processes import free_port  # noqa: E402
from runner import Programs  # noqa: E402

PROVIDER = "okms"
USER = "client"  # the mock's name for the certificate
KMS = b"k8s:enc:kms:v2:okms:"
AES = b"k8s:enc:aescbc:v1:1:"
PLAIN = b"k8s\x00"
PATIENCE = 120.0
FOLDERS = ("/registry/secrets/default/", "/registry/configmaps/default/")


class Migration(unittest.TestCase):
    folder: Path
    plugin: Plugin
    etcd: Etcd
    apiserver: ApiServer
    file: Path  # kube-apiserver's
    key = base64.b64encode(os.urandom(32)).decode()
    values: dict[str, bytes] = {}

    @classmethod
    def setUpClass(cls) -> None:
        temporary = runner.temporary_folder()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)
        cls.folder.chmod(0o711)
        pki = Pki(cls.folder / "pki")
        pki.add_client(USER)
        port = free_port()
        kms = OkmsMock(Programs.mock_kms, cls.folder, [
            f"id=key-1,name=key-1,material={os.urandom(32).hex()},state=Active"],
            "--port", str(port))
        cls.addClassCleanup(lambda: kms.process.stop())
        kms.start()
        cls.plugin = Plugin(Programs.plugin, Programs.kms_call, cls.folder / "plugin", pki,
                            f"127.0.0.1:{port}", user=USER, key_id="key-1")
        cls.addClassCleanup(lambda: cls.plugin.stop())
        cls.plugin.start()
        cls.plugin.ready()
        cls.etcd = Etcd(Programs.control_plane / "etcd", cls.folder / "etcd")
        cls.addClassCleanup(cls.etcd.stop)
        cls.etcd.start()
        cls.apiserver = ApiServer(Programs.control_plane / "kube-apiserver",
                                  cls.folder / "apiserver", pki, cls.etcd, encryption(
                                      ["secrets"], kms_provider(PROVIDER, cls.plugin.socket)))
        cls.addClassCleanup(cls.apiserver.stop)
        cls.file = cls.folder / "apiserver" / "encryption.json"
        cls.file.write_text(yaml.safe_dump({
            "apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration",
            "resources": [
                {"resources": ["secrets", "configmaps"], "providers": [
                    {"aescbc": {"keys": [{"name": "1", "secret": cls.key}]}}, {"identity": {}}]},
                {"resources": ["*.apps"], "providers": [{"identity": {}}]}]}))
        cls.apiserver.start()
        cls.apiserver.wait_ready(PATIENCE)

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
        self.values[name] = os.urandom(24).hex().encode()
        self.apiserver.write_secret(name, self.values[name])
        self.apiserver.write("configmaps", name, data={"value": self.values[name].decode()})

    def rewrite_all(self) -> None:
        for kind in ("secrets", "configmaps"):
            status, answer = self.apiserver.request("GET", f"/api/v1/{kind}")
            self.assertEqual(status, 200)
            for each in yaml.safe_load(answer)["items"]:
                meta = each["metadata"]
                status, answer = self.apiserver.request(
                    "PUT", f"/api/v1/namespaces/{meta['namespace']}/{kind}/{meta['name']}", each)
                self.assertEqual(status, 200, answer)

    def expect_stored(self, **prefixes: bytes) -> None:
        """By whom each is stored, and that all can be read."""
        for name, prefix in prefixes.items():
            for folder in FOLDERS:
                stored = self.etcd.stored(folder + name)
                self.assertTrue(stored.startswith(prefix), (folder, name, stored[:40]))
        for name, value in self.values.items():
            self.assertEqual(self.apiserver.read_secret(name), value, name)


def missing() -> list[str]:
    return runner.missing_programs(Programs.control_plane, ("kube-apiserver", "etcd"),
                                   f"scripts/control-plane {Programs.control_plane}")


if __name__ == "__main__":
    runner.main("__main__", missing, programs=("plugin", "kms_call", "mock_kms", "ctl"),
                control_plane=True)
