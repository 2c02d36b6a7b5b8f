# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""The key is rotated under two real kube-apiservers: by its label, and by the file of its id.

Secrets, ConfigMaps and custom resources are encrypted, and somebody writes them through both
apiservers all the time. What was written under the old key stays readable, plugins and apiservers
take up the new one by themselves, everything is written again, and then the old key is deactivated
and both start with nothing in their memory. No write is refused, and none is lost. The plugins are
not restarted within a rotation.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
import cluster  # noqa: E402
from cluster import PATIENCE, Cluster, Node  # noqa: E402
from control_plane import stage  # noqa: E402
from objects import (KINDS, SECRETS, Kind, Writer, define_widgets, new_value,  # noqa: E402
                     wait_for_widgets)


class Rotation(Cluster):
    NODES = 2
    KEYS = ("key-1", "key-2", "key-3")
    expected: dict[tuple[Kind, str], bytes] = {}

    def test_1_what_is_written_first(self) -> None:
        define_widgets(self.nodes[0].apiserver)
        wait_for_widgets(self.nodes[1].apiserver)
        for number in range(6):
            for kind in KINDS:
                self.write(self.nodes[number % 2], f"first-{number}", kind)
        self.assertEqual(self.all_stored_under(), {"key-1"})
        self.assert_nothing_is_lost()

    def test_2_the_label_moves(self) -> None:
        record = self.nodes[0].plugin.encrypt(os.urandom(32)).body
        with self.writers("label") as processes:
            self.kms.move_label("key-1", "key-2")
            self.expect_use_of("key-2", self.nodes)
            self.assertEqual(self.stored_under("first-0"), "key-1")  # nothing is written by itself
            self.assert_first_are_readable()
            self.rewrite_everything()
            self.expect_all_under("key-2")
            self.assertEqual([node.plugin.process.pid for node in self.nodes], processes)
        self.assert_nothing_is_lost()
        self.expect_the_old_key_is_needed_no_more("key-1", record)

    def test_3_the_file_names_another_key_on_one_node_first(self) -> None:
        files = [self.folder / f"key-id-{number}" for number in range(self.NODES)]
        for number, file in enumerate(files):
            file.write_text("key-2\n")
            plugin = self.replace_plugin(number, key_id_file=file)
            self.assertEqual(plugin.ready().body["key_id"], "key-2")
        record = self.nodes[0].plugin.encrypt(os.urandom(32)).body
        first, second = self.nodes

        with self.writers("file") as processes:
            self.name_in_file(files[0], "key-3", first)
            self.expect_use_of("key-3", [first])
            self.expect_two_keys_side_by_side(first, "key-3", second, "key-2")
            self.name_in_file(files[1], "key-3", second)
            self.expect_use_of("key-3", [second])
            self.rewrite_everything()
            self.expect_all_under("key-3")
            self.assertEqual([node.plugin.process.pid for node in self.nodes], processes)
        self.assert_nothing_is_lost()
        self.expect_the_old_key_is_needed_no_more("key-2", record)

    # ---- The parts of a rotation

    @contextmanager
    def writers(self, prefix: str) -> Iterator[list[int]]:
        """Gives the plugins' processes."""
        writers = [Writer(node.apiserver, f"{prefix}-{number}")
                   for number, node in enumerate(self.nodes)]
        with writers[0], writers[1]:
            yield [node.plugin.process.pid for node in self.nodes]
        for writer in writers:
            self.assertEqual((writer.refused, writer.lost), ([], []))
            self.assertGreater(len(writer.expected), 30)
            self.expected.update(writer.expected)

    def expect_use_of(self, key_id: str, nodes: Sequence[Node]) -> None:
        """They take it up by themselves."""
        for node in nodes:
            with stage(f"a plugin uses {key_id}"):
                node.plugin.process.wait_until(
                    lambda node=node: node.plugin.status().body.get("key_id") == key_id,
                    f"use of {key_id}", PATIENCE)
        for node in nodes:
            name = f"canary-{key_id}-{self.nodes.index(node)}"
            self.write(node, name)
            with stage(f"a kube-apiserver writes under {key_id}"):
                node.apiserver.process.wait_until(
                    lambda node=node, name=name: self.writes_under(node, name) == key_id,
                    f"writing under {key_id}", PATIENCE)

    def expect_two_keys_side_by_side(self, ahead: Node, new: str, behind: Node, old: str) -> None:
        """Each writes under its own, and reads the other's."""
        for node, key_id in ((ahead, new), (behind, old)):
            self.write(node, f"by-{key_id}")
            self.assertEqual(self.stored_under(f"by-{key_id}"), key_id)
        self.assert_first_are_readable()
        for node in self.nodes:
            for key_id in (old, new):
                self.assertEqual(SECRETS.read(node.apiserver, f"by-{key_id}"),
                                 self.expected[SECRETS, f"by-{key_id}"])

        # Whoever rewrites now, has to do it again.
        SECRETS.rewrite(ahead.apiserver, f"by-{old}")
        self.assertEqual(self.stored_under(f"by-{old}"), new)
        self.expected[SECRETS, f"by-{old}"] = new_value()
        SECRETS.change(behind.apiserver, f"by-{old}", self.expected[SECRETS, f"by-{old}"])
        self.assertEqual(self.stored_under(f"by-{old}"), old)

        # An audit sees both, and says which is still needed.
        for wanted, other in ((new, old), (old, new)):
            report = self.audit("--fail-unless-key", wanted, wrong={"other-key"})
            self.assertEqual(set(self.audited_keys(report)), {new, old})
            self.assertIn(f"key {other} is still needed by ", self.said(report, "other-key"))

    def expect_all_under(self, key_id: str) -> None:
        """Now. What etcd has of the past is not."""
        self.assertEqual(self.all_stored_under(), {key_id})
        demands = ["--fail-unless-key", key_id, "--fail-on-plaintext", ",".join(self.RESOURCES)]
        self.assertEqual(set(self.audited_keys(self.audit(*demands))), {key_id})
        report = self.audit(*demands, "--history", wrong={"other-key"})
        self.assertIn("old revisions of secrets", self.said(report, "other-key"))

    def said(self, report: dict[str, Any], finding: str) -> str:
        return "\n".join(each["line"] for each in report["findings"] if each["id"] == finding)

    def rewrite_everything(self) -> None:
        for kind in KINDS:
            kind.rewrite_all(self.nodes[0].apiserver)

    def expect_the_old_key_is_needed_no_more(self, old: str, record: dict[str, object]) -> None:
        """`record` is of that key."""
        plugin = self.nodes[0].plugin
        self.assertTrue(plugin.decrypt(record).ok, "it decrypts until it is deactivated")
        self.stop_apiservers()
        self.kms.set_state(old, "Deactivated")
        plugin.ready()
        self.assertFalse(plugin.decrypt(record).ok, "the key has really gone")

        with stage(f"{old} deactivated, two cold kube-apiservers: ready"):
            self.start_apiservers()
        for node in self.nodes:
            wait_for_widgets(node.apiserver)
        self.assert_nothing_is_lost()
        for number, node in enumerate(self.nodes):
            self.write(node, f"without-{old}-{number}")
        self.assert_nothing_is_lost()
        self.assertNotIn(old, self.all_stored_under())
        self.assertNotIn(old, self.audited_keys(self.audit()))

    # ---- The parts of those

    def name_in_file(self, file: Path, key_id: str, node: Node) -> None:
        new = file.with_suffix(".new")
        new.write_text(f"{key_id}\n")
        new.rename(file)
        os.kill(node.plugin.process.pid, signal.SIGHUP)

    def writes_under(self, node: Node, name: str) -> str:
        """What is written again without a change is stored anew when the key is another one."""
        node.apiserver.readiness()
        SECRETS.rewrite(node.apiserver, name)
        return self.stored_under(name)

    def write(self, node: Node, name: str, kind: Kind = SECRETS) -> None:
        value = new_value()
        kind.create(node.apiserver, name, value)
        self.expected[kind, name] = value

    def assert_first_are_readable(self) -> None:
        for (kind, name), value in self.expected.items():
            if name.startswith("first-"):
                for node in self.nodes:
                    self.assertEqual(kind.read(node.apiserver, name), value, name)

    def assert_nothing_is_lost(self) -> None:
        """While nobody writes."""
        for node in self.nodes:
            for kind in KINDS:
                wanted = {name: value for (each, name), value in self.expected.items()
                          if each == kind}
                found = kind.read_all(node.apiserver)
                self.assertEqual({name: found.get(name) for name in wanted}, wanted)


if __name__ == "__main__":
    cluster.main()
