# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""The key is rotated under a real kube-apiserver: by its label, and by the file of its id.

Each time: what was written under the old key stays readable, the plugin and kube-apiserver take up
the new one by themselves, everything is written again, and then the old key is deactivated and
kube-apiserver starts with nothing in its memory. The KMS is the mock, over KMIP: PyKMIP renames no
keys. One cluster for all tests, in the order of their names; the plugin is not restarted within a
rotation.
"""

from __future__ import annotations

import os
import signal
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))

# pylint: disable=wrong-import-position
import runner  # noqa: E402
from control_plane import ApiServer, Etcd, key_id_of, stage  # noqa: E402
from okms import OkmsMock  # noqa: E402
from peers import Plugin  # noqa: E402
from pki import Pki  # noqa: E402
from processes import free_port  # noqa: E402
from runner import Programs  # noqa: E402

PROVIDER = "okms"
LABEL = "etcd"
USER = "client"  # the mock's name for the certificate
KEYS = ("key-1", "key-2", "key-3")

# The plugin sees a new key within ten seconds, and proves it a second time five seconds later;
# kube-apiserver asks for it when /readyz is looked at, but not more often than each 20 seconds.
PATIENCE = 120.0


class Rotation(unittest.TestCase):
    folder: Path
    pki: Pki
    kms: OkmsMock
    kms_address: str
    plugin: Plugin
    etcd: Etcd
    apiserver: ApiServer
    secrets: dict[str, bytes] = {}
    # Of the keys at the KMS.
    names: dict[str, str] = {"key-1": LABEL}
    states: dict[str, str] = {}
    materials = {key_id: os.urandom(32).hex() for key_id in KEYS}

    @classmethod
    def setUpClass(cls) -> None:
        temporary = runner.temporary_folder()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)
        cls.folder.chmod(0o711)  # the plugin, which may be another user, reads a file there
        cls.pki = Pki(cls.folder / "pki")
        cls.pki.add_client(USER)

        port = free_port()
        cls.kms_address = f"127.0.0.1:{port}"
        cls.kms = OkmsMock(Programs.mock_kms, cls.folder, cls.keys(), "--port", str(port))
        cls.addClassCleanup(lambda: cls.kms.process.stop())
        cls.kms.start()

        cls.plugin = cls.new_plugin(label=LABEL)
        cls.addClassCleanup(lambda: cls.plugin.stop())
        cls.plugin.start()

        cls.etcd = Etcd(Programs.control_plane / "etcd", cls.folder / "etcd")
        cls.addClassCleanup(cls.etcd.stop)
        cls.etcd.start()
        cls.apiserver = ApiServer(Programs.control_plane / "kube-apiserver",
                                  cls.folder / "apiserver", cls.pki, cls.etcd, cls.plugin.socket,
                                  PROVIDER)
        cls.addClassCleanup(cls.apiserver.stop)
        cls.apiserver.start()
        cls.apiserver.wait_ready(PATIENCE)

    def test_1_what_is_written_first(self) -> None:
        for number in range(5):
            self.write_new_secret(f"first-{number}")
        self.assert_all_are_stored_under("key-1")

    def test_2_the_label_moves(self) -> None:
        record = self.plugin.encrypt(os.urandom(32))
        self.names.update({"key-1": "retired", "key-2": LABEL})
        self.restart_kms()
        self.expect_rotation("key-1", "key-2")
        self.expect_the_old_key_is_needed_no_more("key-1", record.body)

    def test_3_the_file_names_another_key(self) -> None:
        self.plugin.stop()
        file = self.folder / "key-id"
        file.write_text("key-2\n")
        type(self).plugin = self.new_plugin(key_id_file=file)
        self.plugin.start()
        self.assertEqual(self.plugin.ready().body["key_id"], "key-2")
        record = self.plugin.encrypt(os.urandom(32))

        new = self.folder / "key-id.new"
        new.write_text("key-3\n")
        new.rename(file)
        os.kill(self.plugin.process.pid, signal.SIGHUP)
        self.expect_rotation("key-2", "key-3")
        self.expect_the_old_key_is_needed_no_more("key-2", record.body)

    # ---- The two halves of a rotation

    def expect_rotation(self, old: str, new: str) -> None:
        """Both take up the new key, and everything is written again."""
        process = self.plugin.process.pid
        with stage(f"{old} to {new}: the plugin uses it"):
            self.plugin.process.wait_until(
                lambda: self.plugin.status().body.get("key_id") == new, f"use of {new}", PATIENCE)
        self.read_all_secrets()
        self.assert_all_are_stored_under(old)  # nothing is written again by itself

        self.write_new_secret(f"canary-of-{new}")
        with stage(f"{old} to {new}: kube-apiserver writes under it"):
            self.apiserver.process.wait_until(
                lambda: self.writes_under(f"canary-of-{new}") == new, f"writing under {new}",
                PATIENCE)
        self.write_new_secret(f"under-{new}")
        self.assertEqual(self.stored_under(f"under-{new}"), new)
        self.assertEqual(self.stored_under("first-0"), old)
        self.read_all_secrets()

        self.apiserver.rewrite_secrets()
        self.assert_all_are_stored_under(new)
        self.read_all_secrets()
        self.assertEqual(self.plugin.process.pid, process)

    def expect_the_old_key_is_needed_no_more(self, old: str, record: dict[str, object]) -> None:
        """`record` is of that key. kube-apiserver starts without anything in its memory."""
        self.assertTrue(self.plugin.decrypt(record).ok, "it decrypts until it is deactivated")
        self.apiserver.stop()
        self.states[old] = "Deactivated"
        self.restart_kms()
        self.plugin.ready()
        self.assertFalse(self.plugin.decrypt(record).ok, "the key has really gone")

        with stage(f"{old} deactivated, cold kube-apiserver: ready"):
            self.apiserver.start()
            self.apiserver.wait_ready(PATIENCE)
        self.read_all_secrets()
        self.write_new_secret(f"without-{old}")
        self.read_all_secrets()
        self.assertNotIn(old, self.all_stored_under())

    # ---- The parts

    @classmethod
    def keys(cls) -> list[str]:
        return [f"id={key_id},name={cls.names.get(key_id, key_id)},material={material},"
                f"state={cls.states.get(key_id, 'Active')}"
                for key_id, material in cls.materials.items()]

    @classmethod
    def new_plugin(cls, **name: object) -> Plugin:
        return Plugin(Programs.plugin, Programs.kms_call, cls.folder / "plugin", cls.pki,
                      cls.kms_address, user=USER, **name)  # type: ignore[arg-type]

    def restart_kms(self) -> None:
        """With the keys as they are now."""
        self.kms.process.stop()
        self.kms.keys = self.keys()
        self.kms.start()

    def stored_under(self, name: str) -> str:
        return key_id_of(self.etcd.stored(f"/registry/secrets/default/{name}"), PROVIDER)

    def all_stored_under(self) -> set[str]:
        return {key_id_of(stored, PROVIDER)
                for stored in self.etcd.stored_below("/registry/secrets/").values()}

    def assert_all_are_stored_under(self, key_id: str) -> None:
        self.assertEqual(self.all_stored_under(), {key_id})

    def writes_under(self, name: str) -> str:
        """What is written again without a change is stored anew when the key is another one."""
        self.apiserver.readiness()
        self.apiserver.rewrite_secret(name)
        return self.stored_under(name)

    def write_new_secret(self, name: str) -> None:
        value = os.urandom(24).hex().encode()
        self.apiserver.write_secret(name, value)
        self.secrets[name] = value

    def read_all_secrets(self) -> None:
        for name, value in self.secrets.items():
            self.assertEqual(self.apiserver.read_secret(name), value, name)


def missing() -> list[str]:
    return runner.missing_programs(Programs.control_plane, ("kube-apiserver", "etcd"),
                                   f"scripts/control-plane {Programs.control_plane}")


if __name__ == "__main__":
    runner.main("__main__", missing, programs=("plugin", "kms_call", "mock_kms"),
                control_plane=True)
