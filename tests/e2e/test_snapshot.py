# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""What is read of an etcd snapshot, compared with all that was ever written to that etcd.

One etcd for all tests, in the order of their names: history, compaction, defragmentation, and the
database of an etcd that runs and of one that does not.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import unittest
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))

# pylint: disable=wrong-import-position
import runner  # noqa: E402
from control_plane import Etcd  # noqa: E402
from runner import Programs  # noqa: E402

PREFIX = "/registry/"
SHOWN = 64  # bytes of a value, as okms-list-snapshot prints them


class Value(NamedTuple):
    key: str
    size: int
    beginning: str
    created: int
    revision: int


class Listing(NamedTuple):
    """What okms-list-snapshot found."""

    extent: dict[str, Any]
    live: set[Value]
    old: set[Value]
    freed: set[Value]


class Model:
    """The same, as it was written."""

    def __init__(self) -> None:
        self.revision = 1
        self.live: dict[str, Value] = {}
        self.history: set[Value] = set()  # with what is live
        self.compacted: set[Value] = set()

    def old(self) -> set[Value]:
        return self.history - set(self.live.values())

    def compact(self) -> None:
        self.compacted |= self.old()
        self.history -= self.compacted


class Snapshot(unittest.TestCase):
    folder: Path
    etcd: Etcd
    model = Model()

    @classmethod
    def setUpClass(cls) -> None:
        temporary = runner.temporary_folder()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)
        cls.etcd = Etcd(Programs.control_plane / "etcd", cls.folder / "etcd")
        cls.etcd.start()
        cls.addClassCleanup(cls.etcd.stop)

    def test_1_history(self) -> None:
        for i in range(300):
            # Some take more than a page, so that their overflow has to be read.
            self.put(f"secrets/default/s-{i}", 9000 if i % 20 == 0 else 100 + i)
        for i in range(0, 300, 3):
            self.put(f"secrets/default/s-{i}", 200 + i)
        for i in range(0, 300, 10):
            self.delete(f"secrets/default/s-{i}")
        for i in range(0, 300, 50):
            self.put(f"secrets/default/s-{i}", 300 + i)
        self.call("kv/put", key=encoded("/other/key"), value=encoded("not asked for"))
        self.model.revision += 1

        found = self.read()
        self.assert_live(found)
        self.assertEqual(found.old, self.model.old())
        self.assertEqual(found.freed, set())  # all that a page was freed with stands in another
        self.assertEqual(found.extent["compacted"], 0)

    def test_2_compaction(self) -> None:
        self.compact()
        found = self.read()
        self.assert_live(found)
        self.assertEqual(found.extent["compacted"], self.model.revision)
        self.assertEqual(found.old, set())
        self.assertLessEqual(found.freed, self.model.compacted)
        # Most of it: some pages are used again for what a compaction itself writes.
        self.assertGreater(len(found.freed), len(self.model.compacted) / 2)

    def test_3_history_after_compaction(self) -> None:
        for i in range(1, 40):
            self.put(f"secrets/default/s-{i}", 50 + i)
        self.delete("secrets/default/s-1")
        found = self.read()
        self.assert_live(found)
        self.assertEqual(found.old, self.model.old())
        self.assertLessEqual(found.freed, self.model.compacted)

    def test_4_defragmentation(self) -> None:
        self.compact()
        self.call("maintenance/defragment")
        found = self.read()
        self.assert_live(found)
        self.assertEqual(found.old | found.freed, set())

    def test_5_damaged(self) -> None:
        saved = self.save().read_bytes()
        flipped = bytearray(saved)
        flipped[len(saved) // 2] ^= 1
        for damaged in (bytes(flipped), saved[:-4096], saved[:len(saved) // 2]):
            path = self.folder / "damaged.db"
            path.write_bytes(damaged)
            self.assertIn("is damaged", self.refusal(path))

    def test_6_database(self) -> None:
        database = self.folder / "etcd/data/member/snap/db"
        self.assertIn("is the database of an etcd that runs", self.refusal(database))
        self.etcd.stop()
        found = self.list(database)
        self.assert_live(found)
        self.assertIn("(without a digest)", found.extent["line"])

    def compact(self) -> None:
        self.call("kv/compaction", revision=self.model.revision, physical=True)
        self.model.compact()

    def assert_live(self, found: Listing) -> None:
        self.assertEqual(found.live, set(self.model.live.values()))
        self.assertEqual(found.extent["total"], len(self.model.live))
        self.assertEqual(found.extent["revision"], self.model.revision)

    def put(self, name: str, size: int) -> None:
        key = PREFIX + name
        value = f"k8s:enc:kms:v2:okms:{key}:".ljust(size, "x")
        answer = self.call("kv/put", key=encoded(key), value=encoded(value))
        model = self.model
        model.revision = int(answer["header"]["revision"])
        created = model.live[key].created if key in model.live else model.revision
        model.live[key] = Value(key, size, value[:SHOWN], created, model.revision)
        model.history.add(model.live[key])

    def delete(self, name: str) -> None:
        answer = self.call("kv/deleterange", key=encoded(PREFIX + name))
        self.model.revision = int(answer["header"]["revision"])
        del self.model.live[PREFIX + name]

    def read(self) -> Listing:
        return self.list(self.save())

    def save(self) -> Path:
        """As etcdctl snapshot save: all blobs, of which the last is the digest."""
        content = b"".join(base64.b64decode(line["result"].get("blob", ""))
                           for line in self.stream("maintenance/snapshot"))
        self.assertEqual(hashlib.sha256(content[:-32]).digest(), content[-32:])
        path = self.folder / "snapshot.db"
        path.write_bytes(content)
        return path

    def list(self, path: Path) -> Listing:
        result = subprocess.run([Programs.list_snapshot, path], capture_output=True, timeout=60,
                                check=False)
        self.assertEqual((result.returncode, result.stderr), (0, b""))
        extent, *values = map(json.loads, result.stdout.splitlines())
        listing = Listing(extent, set(), set(), set())
        for value in values:
            getattr(listing, value.pop("standing")).add(Value(**value))
        self.assertEqual(len(values), sum(map(len, listing[1:])), "something was listed twice")
        return listing

    def refusal(self, path: Path) -> str:
        result = subprocess.run([Programs.list_snapshot, path], capture_output=True, timeout=60,
                                check=False, text=True)
        self.assertEqual(result.returncode, 1, result)
        self.assertIn(str(path), result.stderr)
        return result.stderr

    def call(self, method: str, **body: Any) -> dict[str, Any]:
        return self.stream(method, **body)[0]

    def stream(self, method: str, **body: Any) -> list[dict[str, Any]]:
        request = urllib.request.Request(f"{self.etcd.url}/v3/{method}",
                                         data=json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=30) as response:
            return [json.loads(line) for line in response]


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def missing() -> list[str]:
    return runner.missing_programs(Programs.control_plane, ("etcd",),
                                   f"scripts/control-plane {Programs.control_plane}")


if __name__ == "__main__":
    runner.main("__main__", missing, programs=("list_snapshot",), control_plane=True)
