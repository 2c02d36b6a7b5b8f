# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""What is stored in etcd, and what becomes of it: records of the Go plugin's form, a thousand
seeds, and a key that is destroyed for good.

The mock's keys are known here, so the test itself opens what the plugin and kube-apiserver have
sealed, and seals what they have to open. No Go plugin takes part.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

sys.path.insert(0, str(Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
import cluster  # noqa: E402
from cluster import PATIENCE, PROVIDER, Cluster  # noqa: E402
from control_plane import stage  # noqa: E402
from envelope import Envelope, envelope, sealed  # noqa: E402
from objects import SECRETS, new_value  # noqa: E402
from processes import wait_until  # noqa: E402

KEY, OTHER = "key-1", "key-2"
SEEDS = 1000


class StoredData(Cluster):
    KEYS = (KEY, OTHER)
    RESOURCES = (SECRETS.resource,)
    expected: dict[str, bytes] = {}

    def test_1_what_this_one_has_stored_opens_by_the_go_plugins_form(self) -> None:
        value = new_value()
        SECRETS.create(self.nodes[0].apiserver, "opened", value)
        self.expected["opened"] = value
        etcd_key = SECRETS.folder + "opened"
        stored = envelope(self.etcd.stored(etcd_key), PROVIDER)
        self.assertEqual(stored.key_id, KEY)
        self.assertEqual(stored.annotations.keys(), {"alg.okms.ovh.com", "iv.okms.ovh.com"})
        self.assertEqual(stored.annotations["alg.okms.ovh.com"], b"AES_GCM")
        self.assertEqual(len(stored.annotations["iv.okms.ovh.com"]), 12)
        self.assertEqual(len(stored.source), 32 + 16)  # the seed, and the tag behind it

        seed = self.at_the_kms().decrypt(stored.annotations["iv.okms.ovh.com"], stored.source, None)
        self.assertIn(value, stored.opened(seed, etcd_key))

    def test_2_records_of_the_go_plugins_form_are_read(self) -> None:
        self.store("go-form", annotated=True)
        # Where no algorithm is named, it takes this one.
        self.store("without-algorithm", annotated=False)
        self.read_all()

        # And says so when it is another's: one bit of the seed's ciphertext is not as it was.
        wrong = self.go_envelope("wrong", new_value())
        wrong.source = wrong.source[:-1] + bytes([wrong.source[-1] ^ 1])
        self.etcd.store(SECRETS.folder + "wrong", wrong.stored(PROVIDER))
        with self.assertRaisesRegex(RuntimeError, "500 "):
            SECRETS.read(self.nodes[0].apiserver, "wrong")
        self.etcd.delete(SECRETS.folder + "wrong")

    def test_3_a_thousand_seeds_and_a_cold_kube_apiserver(self) -> None:
        api = self.nodes[0].apiserver
        for number in range(SEEDS):
            self.store(f"seed-{number}", annotated=True)
        api.stop()
        with stage(f"cold kube-apiserver with {len(self.expected)} seeds: ready"):
            self.start_apiservers()
        with stage("all of them read"):
            self.read_all()
        decrypts = api.metric("apiserver_envelope_encryption_kms_operations_latency_seconds_count",
                              'method_name="/v2.KeyManagementService/Decrypt"',
                              'grpc_status_code="OK"')
        print(f"\n  {decrypts:.0f} Decrypts", file=sys.stderr, end=" ")
        self.assertGreaterEqual(decrypts, len(self.expected))
        self.assertLess(decrypts, 2 * len(self.expected))
        self.assertEqual(self.audit()["cold_start_decrypts"], len(self.expected))

    def test_4_the_key_is_destroyed_for_good(self) -> None:
        plugin, api = self.nodes[0]
        SECRETS.create(api, "last", new_value())
        record = plugin.encrypt(os.urandom(32)).body
        self.kms.set_state(KEY, "Destroyed")

        with stage("key destroyed: Status says so"):
            wait_until(lambda: not plugin.status().ok, "error from the plugin", PATIENCE)
        self.assertEqual(plugin.status().code, "FAILED_PRECONDITION")
        self.assertEqual(plugin.status().reason, f"key {KEY} is in state Destroyed, not Active")
        refused = plugin.decrypt(record)
        self.assertEqual(refused.code, "PERMISSION_DENIED")
        self.assertIn("the object is Destroyed", refused.reason)

        with stage("key destroyed: kube-apiserver is not ready"):
            api.wait_until_it_misses_the_kms(PATIENCE)
        said = api.request("GET", "/readyz/kms-providers").body.decode()
        self.assertIn(f"key {KEY} is in state Destroyed, not Active", said)
        SECRETS.read(api, "last")  # while the seed is in its memory
        # Not before: until the next check Status gives what the KMS said to this as its reason.
        self.assertEqual(plugin.encrypt(os.urandom(32)).code, "PERMISSION_DENIED")

        checked = self.ctl("check", "--key", KEY, "--", *plugin.flags)
        self.assertEqual(checked.returncode, 1, checked.stderr)
        self.assertRegex(checked.stdout, "(?m)^failed  key.state .*: "
                                         f"key {KEY} is in state Destroyed, not Active$")

    def test_5_another_key_does_not_bring_it_back(self) -> None:
        """The plugin is well with it, and so is everything that it is asked about."""
        plugin, api = self.replace_plugin(0, key_id=OTHER), self.nodes[0].apiserver
        self.assertEqual(plugin.ready().body["key_id"], OTHER)
        checked = self.ctl("check", "--key", OTHER, "--", *plugin.flags)
        self.assertEqual(checked.returncode, 0, checked.stdout)

        api.stop()
        api.start()
        with stage("key destroyed, another one used: kube-apiserver has no Secrets"):
            api.wait_until_it_misses_its_secrets(PATIENCE)
        for name in ("last", "go-form"):
            with self.assertRaisesRegex(RuntimeError, "the object is Destroyed"):
                SECRETS.read(api, name)
        with self.assertRaisesRegex(RuntimeError, "listing of secrets: .*the object is Destroyed"):
            SECRETS.read_all(api)
        # Whoever writes does not notice.
        value = new_value()
        SECRETS.create(api, "after", value)
        self.assertEqual(self.stored_under("after"), OTHER)
        self.assertEqual(SECRETS.read(api, "after"), value)

        # Who had asked before had known.
        report = self.audit("--fail-unless-key", OTHER, wrong={"other-key"})
        self.assertEqual(self.audited_keys(report), {KEY: len(self.expected) + 1, OTHER: 1})

    # ---- The parts

    def at_the_kms(self) -> AESGCM:
        return AESGCM(self.kms.materials[KEY])

    def go_envelope(self, name: str, value: bytes, *, annotated: bool = True) -> Envelope:
        """Of the form that the Go plugin's have over KMIP, as kube-apiserver stores them."""
        body = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", **SECRETS.content(value),
                "metadata": {"name": name, "namespace": "default", "uid": str(uuid.uuid4()),
                             "creationTimestamp": "2026-01-01T00:00:00Z"}}
        seed, iv = os.urandom(32), os.urandom(12)
        annotations = {"iv.okms.ovh.com": iv}
        if annotated:
            annotations["alg.okms.ovh.com"] = b"AES_GCM"
        return Envelope(sealed(json.dumps(body).encode(), seed, SECRETS.folder + name), KEY,
                        self.at_the_kms().encrypt(iv, seed, None), annotations)

    def store(self, name: str, *, annotated: bool) -> None:
        self.expected[name] = new_value()
        stored = self.go_envelope(name, self.expected[name], annotated=annotated)
        self.etcd.store(SECRETS.folder + name, stored.stored(PROVIDER))

    def read_all(self) -> None:
        found = SECRETS.read_all(self.nodes[0].apiserver)
        self.assertEqual({name: found.get(name) for name in self.expected}, self.expected)


if __name__ == "__main__":
    cluster.main()
