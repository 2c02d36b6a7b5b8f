# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""A control plane of one or more nodes, each of a plugin and a kube-apiserver, on one etcd, and the
mock KMS, whose keys change as a story wants it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unittest
from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))

# pylint: disable=wrong-import-position
import runner  # noqa: E402
from control_plane import ApiServer, Etcd, encryption, kms_provider  # noqa: E402
from envelope import envelope  # noqa: E402
from objects import KINDS, SECRETS, Kind  # noqa: E402
from okms import OkmsMock  # noqa: E402
from peers import Plugin  # noqa: E402
from pki import Pki  # noqa: E402
from processes import free_port  # noqa: E402
from runner import Programs  # noqa: E402

PROVIDER = "okms"
LABEL = "etcd"
USER = "client"  # the mock's name for the certificate

# The plugin sees a new key within ten seconds, and proves it a second time five seconds later;
# kube-apiserver asks for it when /readyz is looked at, but not more often than each 20 seconds.
# Each stage ends as soon as its condition holds.
PATIENCE = 120.0


class MockKms:
    """The OKMS mock over KMIP: PyKMIP renames no keys. Its keys change with a restart, which costs
    some milliseconds and no call."""

    def __init__(self, folder: Path, keys: Sequence[str]) -> None:
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self.materials = {key_id: os.urandom(32) for key_id in keys}
        self._states = dict.fromkeys(keys, "Active")
        self._names = {key_id: key_id for key_id in keys} | {keys[0]: LABEL}
        self._mock = OkmsMock(Programs.mock_kms, folder, self._keys(), "--port", str(port))
        self.start = self._mock.start
        self.process = self._mock.process

    def stop(self) -> None:
        self.process.stop()

    def move_label(self, old: str, new: str) -> None:
        self._names.update({old: "retired", new: LABEL})
        self._restart()

    def set_state(self, key_id: str, state: str) -> None:
        self._states[key_id] = state
        self._restart()

    def _restart(self) -> None:
        self.stop()
        self._mock.keys = self._keys()
        self.start()

    def _keys(self) -> list[str]:
        return [f"id={key_id},name={self._names[key_id]},material={material.hex()},"
                f"state={self._states[key_id]}" for key_id, material in self.materials.items()]


class Node(NamedTuple):
    plugin: Plugin
    apiserver: ApiServer


class Ground(unittest.TestCase):
    """The mock KMS, and plugins that ask it, for all tests of a class in the order of their names."""

    KEYS: tuple[str, ...] = ("key-1",)

    folder: Path
    pki: Pki
    kms: MockKms

    @classmethod
    def setUpClass(cls) -> None:
        temporary = runner.temporary_folder()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)
        cls.folder.chmod(0o711)  # the plugin, which may be another user, reads files there
        cls.pki = Pki(cls.folder / "pki")
        cls.pki.add_client(USER)
        cls.kms = MockKms(cls.folder, cls.KEYS)
        cls.addClassCleanup(lambda: cls.kms.stop())
        cls.kms.start()

    @classmethod
    def new_plugin(cls, node: int, **options: Any) -> Plugin:
        return Plugin(Programs.plugin, Programs.kms_call, cls.folder / f"plugin-{node}", cls.pki,
                      cls.kms.address, user=USER, **options)


class Cluster(Ground):
    """Each test leaves everything running."""

    NODES = 1
    RESOURCES = tuple(kind.resource for kind in KINDS)

    etcd: Etcd
    nodes: list[Node]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.etcd = Etcd(Programs.control_plane / "etcd", cls.folder / "etcd")
        cls.addClassCleanup(cls.etcd.stop)
        cls.etcd.start()

        cls.nodes = []
        for number in range(cls.NODES):
            plugin = cls.new_plugin(number, label=LABEL)
            plugin.start()
            cls.addClassCleanup(lambda number=number: cls.nodes[number].plugin.stop())
            apiserver = ApiServer(Programs.control_plane / "kube-apiserver",
                                  cls.folder / f"apiserver-{number}", cls.pki, cls.etcd,
                                  cls.encryption(plugin), *cls.flags(number))
            cls.addClassCleanup(apiserver.stop)
            cls.nodes.append(Node(plugin, apiserver))
        cls.start_apiservers()

    @classmethod
    def encryption(cls, plugin: Plugin) -> dict[str, Any]:
        return encryption(cls.RESOURCES, kms_provider(PROVIDER, plugin.socket))

    @classmethod
    def flags(cls, node: int) -> tuple[str, ...]:  # pylint: disable=unused-argument
        """Further ones of its kube-apiserver."""
        return ()

    @classmethod
    def replace_plugin(cls, node: int, **options: Any) -> Plugin:
        """By one with other options, on the same socket."""
        old = cls.nodes[node]
        old.plugin.stop()
        cls.nodes[node] = Node(cls.new_plugin(node, **options), old.apiserver)
        cls.nodes[node].plugin.start()
        return cls.nodes[node].plugin

    @classmethod
    def start_apiservers(cls) -> None:
        """With nothing in their memory."""
        for node in cls.nodes:
            node.apiserver.start()
        for node in cls.nodes:
            node.apiserver.wait_ready(PATIENCE)

    @classmethod
    def stop_apiservers(cls) -> None:
        for node in cls.nodes:
            node.apiserver.stop()

    # ---- What etcd has

    def stored_under(self, name: str, kind: Kind = SECRETS) -> str:
        return envelope(self.etcd.stored(kind.folder + name), PROVIDER).key_id

    def all_stored_under(self, kinds: Sequence[Kind] = KINDS) -> set[str]:
        """Of all namespaces, and of what kube-apiserver writes for itself."""
        return {envelope(stored, PROVIDER).key_id
                for kind in kinds
                for stored in self.etcd.stored_below(kind.folder.removesuffix("default/")).values()}

    # ---- What the command line says

    def audit(self, *demands: str, wrong: Set[str] = frozenset()) -> dict[str, Any]:
        """The report of okms-kms-ctl. `wrong`: the findings that are against the demands."""
        done = self.ctl("audit", "--endpoints", self.etcd.url, "--output", "json", *demands)
        self.assertEqual(done.returncode, 1 if wrong else 0, done.stdout + done.stderr)
        report: dict[str, Any] = json.loads(done.stdout)
        self.assertEqual({each["id"] for each in report["findings"] if each["wrong"]}, wrong,
                         report["findings"])
        return report

    def audited_keys(self, report: dict[str, Any]) -> dict[str, int]:
        """How many values are under each key."""
        found: dict[str, int] = {}
        for group in report["groups"]:
            if "key_id" in group:
                found[group["key_id"]] = found.get(group["key_id"], 0) + group["objects"]
        return found

    def ctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(Programs.ctl), *arguments], capture_output=True, text=True,
                              timeout=120, check=False)


def missing() -> list[str]:
    return runner.missing_programs(Programs.control_plane, ("kube-apiserver", "etcd"),
                                   f"scripts/control-plane {Programs.control_plane}")


def main() -> None:
    runner.main("__main__", missing, programs=("plugin", "kms_call", "mock_kms", "ctl"),
                control_plane=True)
