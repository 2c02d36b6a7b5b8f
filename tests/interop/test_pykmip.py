# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""The plugin against PyKMIP, a KMIP server by other authors, in the modes other servers have.

One class per server mode; the tests of a class share its server, each has a plugin of its own.
"""

from __future__ import annotations

import concurrent.futures
import os
import re
import tempfile
import unittest
from pathlib import Path
from typing import Any

import runner
from kmip_client import KmipError, Usage
from peers import Answer, Plugin, PyKmip
from pki import Pki
from runner import Programs

IV, ALGORITHM = "iv.okms.ovh.com", "alg.okms.ovh.com"
IV_SIZE, TAG_SIZE, SEED_SIZE = 12, 16, 32

# How long the plugin may take to notice by itself what happened at the KMS.
NOTICE_SECONDS = 60

pki: Pki
folder: Path


def setUpModule() -> None:
    global pki, folder
    temporary = runner.temporary_folder()
    unittest.addModuleCleanup(temporary.cleanup)
    folder = Path(temporary.name)
    pki = Pki(folder / "pki")
    pki.add_client("alice")
    pki.add_client("mallory")


class ServerMode(unittest.TestCase):
    """A PyKMIP server started with `mode`, and what the tests of all modes ask of the plugin."""

    mode: dict[str, Any] = {}
    kms: PyKmip

    @classmethod
    def setUpClass(cls) -> None:
        cls.kms = PyKmip(folder / cls.__name__, pki, **cls.mode)
        cls.addClassCleanup(cls.kms.stop)
        cls.kms.start()

    @classmethod
    def tearDownClass(cls) -> None:
        if "Get" in cls.operations_of_alice():
            raise AssertionError("the plugin asked for key material (operation Get)")

    @classmethod
    def operations_of_alice(cls) -> set[str]:
        return {request.operation for request in cls.kms.requests() if request.user == "alice"}

    def plugin(self, flags: tuple[str, ...] = (), **key: str) -> Plugin:
        """A running plugin with `key_id=` or `label=`."""
        own_folder = Path(tempfile.mkdtemp(dir=folder, prefix="plugin-"))
        plugin = Plugin(Programs.plugin, Programs.kms_call, own_folder, pki, self.kms.address,
                        flags=flags, **key)
        self.addCleanup(self.stop_plugin, plugin)
        plugin.start()
        return plugin

    def stop_plugin(self, plugin: Plugin) -> None:
        # SIGTERM is its ordinary end: a crash or a sanitizer's finding shows here. None: it was
        # never started.
        self.assertIn(plugin.stop(), (0, None), "exit status of the plugin")

    def assert_refused(self, plugin: Plugin, *patterns: str, code: str | None = None,
                       was_ok: bool = False, seconds: float = NOTICE_SECONDS) -> Answer:
        """Status comes to the reason that `patterns` describe, and is never ok on the way there.

        `was_ok`: it may be ok at first, because what is wrong has only just happened.
        """
        last: list[Answer] = []

        def refusal() -> Answer | None:
            last[:] = [plugin.status()]
            if not was_ok:
                self.assertFalse(last[0].ok, f"status became ok: {last[0].body}")
            found = (not last[0].ok and code in (None, last[0].code)
                     and all(re.search(each, last[0].reason, re.IGNORECASE) for each in patterns))
            return last[0] if found else None

        try:
            return plugin.process.wait_until(refusal, f"refusal {code or ''} {patterns}", seconds)
        except TimeoutError:
            self.fail(f"status never said {code or 'an error'} {patterns}; last: {last[0].body}")

    def encrypt_seed(self, plugin: Plugin, key_id: str) -> tuple[bytes, dict[str, Any]]:
        """A seed as kube-apiserver makes it, and the record it would store."""
        seed = os.urandom(SEED_SIZE)
        answer = plugin.encrypt(seed)
        self.assertTrue(answer.ok, answer.body)
        record = answer.body
        self.assertEqual(record["key_id"], key_id)
        self.assertEqual(set(record["annotations"]), {IV, ALGORITHM})
        self.assertEqual(bytes.fromhex(record["annotations"][ALGORITHM]), b"AES_GCM")
        self.assertEqual(len(bytes.fromhex(record["annotations"][IV])), IV_SIZE)
        self.assertEqual(len(bytes.fromhex(record["ciphertext"])), SEED_SIZE + TAG_SIZE)
        return seed, record

    def assert_decrypts(self, plugin: Plugin, record: dict[str, Any], plaintext: bytes) -> None:
        answer = plugin.decrypt(record)
        self.assertTrue(answer.ok, answer.body)
        self.assertEqual(bytes.fromhex(answer.body["plaintext"]), plaintext)

    def assert_round_trip(self) -> None:
        key_id = self.kms.active_key(self.id())
        plugin = self.plugin(key_id=key_id)
        self.assertEqual(plugin.ready().body, {"version": "v2", "healthz": "ok", "key_id": key_id})
        seed, record = self.encrypt_seed(plugin, key_id)
        self.assert_decrypts(plugin, record, seed)


class PlainServer(ServerMode):
    """As Debian ships it: TLS 1.2, KMIP up to 1.4."""

    def test_round_trip(self) -> None:
        self.assertEqual(self.kms.tls_version(), "TLSv1.2")
        self.assert_round_trip()
        self.assertIn(("1.4", "Encrypt", "alice"), self.kms.requests())

    def test_decrypts_travel_together(self) -> None:
        """What waits for the only connection goes as one request, each with its own answer."""
        key_id = self.kms.active_key(self.id())
        plugin = self.plugin(("--max-connections", "1", "--debug"), key_id=key_id)
        plugin.ready()
        seeds = [self.encrypt_seed(plugin, key_id) for _ in range(8)]
        damaged = dict(seeds[3][1])
        damaged["ciphertext"] = "00" + damaged["ciphertext"][2:]

        def some_together() -> bool:
            with concurrent.futures.ThreadPoolExecutor(16) as pool:
                calls = [(seed, pool.submit(plugin.decrypt, record)) for seed, record in 2 * seeds]
                bad = pool.submit(plugin.decrypt, damaged)
                for seed, call in calls:
                    self.assertTrue(call.result().ok, call.result().body)
                    self.assertEqual(bytes.fromhex(call.result().body["plaintext"]), seed)
                self.assertFalse(bad.result().ok)
            return "Decrypts in one request" in plugin.process.logs[0].read_text(errors="replace")

        for _ in range(20):
            if some_together():
                break
        else:
            self.fail("no two of 17 Decrypts at once travelled together")
        log = plugin.process.logs[0].read_text(errors="replace")
        self.assertNotIn("no more than one request at a time", log)

    def test_same_seed_twice_gives_two_records(self) -> None:
        plugin = self.plugin(key_id=self.kms.active_key(self.id()))
        plugin.ready()
        first, second = (plugin.encrypt(bytes(SEED_SIZE)).body for _ in range(2))
        self.assertNotEqual(first["annotations"][IV], second["annotations"][IV])
        self.assertNotEqual(first["ciphertext"], second["ciphertext"])

    def test_records_are_plain_aes_256_gcm(self) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # comes with PyKMIP

        kek = os.urandom(32)
        client = self.kms.client()
        key_id = client.register(self.id(), kek)
        client.activate(key_id)
        plugin = self.plugin(key_id=key_id)
        plugin.ready()

        seed, record = self.encrypt_seed(plugin, key_id)
        iv = bytes.fromhex(record["annotations"][IV])
        ciphertext = bytes.fromhex(record["ciphertext"])
        self.assertEqual(AESGCM(kek).decrypt(iv, ciphertext, None), seed)

        seed, iv = os.urandom(SEED_SIZE), os.urandom(IV_SIZE)
        self.assert_decrypts(plugin, {
            "ciphertext": AESGCM(kek).encrypt(iv, seed, None).hex(),
            "key_id": key_id,
            "annotations": {IV: iv.hex(), ALGORITHM: b"AES_GCM".hex()},
        }, seed)

    def test_record_of_the_go_implementation(self) -> None:
        # Recorded from version 0.1.1 of the Go plugin in front of PyKMIP, with KMIP 1.4.
        client = self.kms.client()
        key_id = client.register(self.id(), bytes.fromhex(
            "758fae78787d704f6a6df62fffe2042ce339e92dae8a552cae4a52592f4025c0"))
        client.activate(key_id)
        plugin = self.plugin(key_id=key_id)
        plugin.ready()
        self.assert_decrypts(plugin, {
            "ciphertext": "5aee5b8a644d9ec2184256fbe0c53f0f8249f037a3625559048931c74753c4d9"
                          "22dc07772cd92bec61137b190e0ee222",
            "key_id": key_id,
            "annotations": {IV: "0aedbc5ed146d1c45a5488f6", ALGORITHM: b"AES_GCM".hex()},
        }, b"0123456789abcdef" * 2)

    def test_damaged_record_fails_and_the_next_one_does_not(self) -> None:
        key_id = self.kms.active_key(self.id())
        plugin = self.plugin(key_id=key_id)
        plugin.ready()
        seed, record = self.encrypt_seed(plugin, key_id)
        damaged = bytearray.fromhex(record["ciphertext"])
        damaged[-1] ^= 1
        answer = plugin.decrypt({**record, "ciphertext": damaged.hex()})
        self.assertFalse(answer.ok, answer.body)
        self.assert_decrypts(plugin, record, seed)
        self.assertTrue(plugin.status().ok, "one damaged record made the plugin unhealthy")

    def test_label(self) -> None:
        key_id = self.kms.active_key("the only one of its name")
        plugin = self.plugin(label="the only one of its name")
        self.assertEqual(plugin.ready().body["key_id"], key_id)
        seed, record = self.encrypt_seed(plugin, key_id)
        self.assert_decrypts(plugin, record, seed)

    def test_label_of_two_keys(self) -> None:
        first, second = (self.kms.active_key("twice") for _ in range(2))
        plugin = self.plugin(label="twice")
        self.assert_refused(plugin, rf"\b{first}\b", rf"\b{second}\b")
        self.assertFalse(plugin.encrypt(bytes(SEED_SIZE)).ok)
        self.kms.client().deactivate(first)
        self.assertEqual(plugin.ready(NOTICE_SECONDS).body["key_id"], second)

    def test_label_of_no_key(self) -> None:
        plugin = self.plugin(label="nobody-has-this-label")
        self.assert_refused(plugin, "nobody-has-this-label", code="NOT_FOUND")

    def test_status_follows_the_life_of_the_key(self) -> None:
        client = self.kms.client()
        key_id = client.create(self.id())
        plugin = self.plugin(key_id=key_id)
        self.assert_refused(plugin, r"pre.?active", code="FAILED_PRECONDITION")
        self.assertFalse(plugin.encrypt(bytes(SEED_SIZE)).ok)

        client.activate(key_id)
        self.assertEqual(plugin.ready(NOTICE_SECONDS).body["key_id"], key_id)

        client.deactivate(key_id)
        self.assert_refused(plugin, "deactivated", code="FAILED_PRECONDITION", was_ok=True)

        client.destroy(key_id)
        self.assert_refused(plugin, rf"\b{key_id}\b", code="NOT_FOUND", was_ok=True)

    def test_key_with_half_of_the_usages(self) -> None:
        for usage in (Usage.ENCRYPT, Usage.DECRYPT):
            with self.subTest(usage=usage.name):
                client = self.kms.client()
                key_id = client.create(f"{self.id()} {usage.name}", usage)
                client.activate(key_id)
                self.assert_refused(self.plugin(key_id=key_id), "usage|mask|encrypt|decrypt",
                                    code="FAILED_PRECONDITION")

    def test_unknown_key(self) -> None:
        self.assert_refused(self.plugin(key_id="7000000"), r"\b7000000\b", code="NOT_FOUND")

    def test_key_of_another_user(self) -> None:
        client = self.kms.client("mallory")
        key_id = client.create(self.id())
        client.activate(key_id)
        self.assert_refused(self.plugin(key_id=key_id), rf"\b{key_id}\b", code="PERMISSION_DENIED")

    def test_key_material_stays_in_the_kms(self) -> None:
        key_id = self.kms.active_key("stays in the KMS")
        for plugin in (self.plugin(key_id=key_id), self.plugin(label="stays in the KMS")):
            plugin.ready()
            seed, record = self.encrypt_seed(plugin, key_id)
            self.assert_decrypts(plugin, record, seed)
        self.assertLessEqual({"Locate", "Encrypt", "Decrypt"}, self.operations_of_alice())
        self.assertNotIn("Get", self.operations_of_alice())
        # The record would have shown a Get: it shows this one, although the server refuses it.
        with self.assertRaises(KmipError):
            self.kms.client("mallory").get(key_id)
        self.assertIn(("1.4", "Get", "mallory"), self.kms.requests())


class Tls13Server(ServerMode):
    mode = {"tls13": True}

    def test_round_trip(self) -> None:
        self.assertEqual(self.kms.tls_version(), "TLSv1.3")
        self.assert_round_trip()


class Outages(ServerMode):
    """Nobody restarts the plugin when the KMS goes away, or is not there yet."""

    def tearDown(self) -> None:
        if not self.kms.process.running():
            self.kms.start()

    def test_plugin_starts_before_the_kms(self) -> None:
        key_id = self.kms.active_key(self.id())
        self.kms.stop()
        plugin = self.plugin(key_id=key_id)
        self.assert_refused(plugin, code="UNAVAILABLE")
        self.assertFalse(plugin.encrypt(bytes(SEED_SIZE)).ok)
        self.kms.start()
        self.assertEqual(plugin.ready(NOTICE_SECONDS).body["key_id"], key_id)
        seed, record = self.encrypt_seed(plugin, key_id)
        self.assert_decrypts(plugin, record, seed)

    def test_kms_restarts(self) -> None:
        key_id = self.kms.active_key(self.id())
        plugin = self.plugin(key_id=key_id)
        plugin.ready()
        seed, record = self.encrypt_seed(plugin, key_id)
        self.kms.stop()
        self.assert_refused(plugin, code="UNAVAILABLE", was_ok=True)
        self.assertFalse(plugin.decrypt(record).ok)
        self.kms.start()
        self.assertEqual(plugin.ready(NOTICE_SECONDS).body["key_id"], key_id)
        self.assert_decrypts(plugin, record, seed)

    def test_first_call_after_an_unnoticed_restart(self) -> None:
        # Every connection the plugin kept is dead now; a request must not pay for it.
        key_id = self.kms.active_key(self.id())
        plugin = self.plugin(key_id=key_id)
        plugin.ready()
        seed, record = self.encrypt_seed(plugin, key_id)
        self.kms.stop()
        self.kms.start()
        self.assert_decrypts(plugin, record, seed)


class _DropsTheTag:
    """Below KMIP 1.4 PyKMIP returns the GCM ciphertext and loses its tag: nothing encrypted there
    can ever be decrypted, so the plugin must not encrypt at all."""

    def test_refused(self) -> None:
        plugin = self.plugin(key_id=self.kms.active_key(self.id()))
        self.assert_refused(plugin, "tag|authenticat")
        answer = plugin.encrypt(bytes(SEED_SIZE))
        self.assertFalse(answer.ok, f"a ciphertext without its tag: {answer.body}")
        self.assertFalse(plugin.status().ok)


class DropsTheTag12(_DropsTheTag, ServerMode):
    mode = {"max_version": (1, 2)}


class DropsTheTag13(_DropsTheTag, ServerMode):
    mode = {"max_version": (1, 3)}


class _EmbedsTheTag:
    """Below KMIP 1.4, Data is the ciphertext followed by the tag."""

    def test_round_trip(self) -> None:
        self.assert_round_trip()
        version = "{}.{}".format(*self.mode["max_version"])
        self.assertIn((version, "Encrypt", "alice"), self.kms.requests())


class EmbedsTheTag12(_EmbedsTheTag, ServerMode):
    mode = {"max_version": (1, 2), "embed_tag": True}


class EmbedsTheTag13(_EmbedsTheTag, ServerMode):
    mode = {"max_version": (1, 3), "embed_tag": True}


class _TooOld:
    """KMIP has Encrypt and Decrypt since 1.2."""

    def test_refused(self) -> None:
        plugin = self.plugin(key_id=self.kms.active_key(self.id()))
        self.assert_refused(plugin, r"\bKMIP 1\.[01]\b", code="FAILED_PRECONDITION")
        self.assertFalse(plugin.encrypt(bytes(SEED_SIZE)).ok)


class TooOld10(_TooOld, ServerMode):
    mode = {"max_version": (1, 0)}


class TooOld11(_TooOld, ServerMode):
    mode = {"max_version": (1, 1)}


if __name__ == "__main__":
    runner.main("__main__", runner.missing_pykmip)
