# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""A real kube-apiserver keeps its Secrets in a real etcd, through the plugin and a KMS.

`--protocol` says which KMS: PyKMIP, or the OKMS mock behind nginx. The story is the same.
One cluster for all tests. They run in the order of their names, because a cluster has a history;
each leaves everything running.
"""

from __future__ import annotations

import argparse
import base64
import os
import subprocess
import sys
import unittest
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))

# pylint: disable=wrong-import-position
import runner  # noqa: E402
from control_plane import ApiServer, Etcd, encryption, kms_provider, stage  # noqa: E402
from kms import LABEL, Kms, OverKmip, OverRest  # noqa: E402
from peers import Plugin  # noqa: E402
from pki import Pki  # noqa: E402
from processes import wait_until  # noqa: E402
from runner import Programs  # noqa: E402

MANIFEST = Path(__file__).resolve().parents[2] / "kubernetes/static-pod.yaml"
PROVIDER = "okms"
PROTOCOLS: dict[str, type[Kms]] = {"kmip": OverKmip, "rest": OverRest}

# kube-apiserver asks an unhealthy plugin every 10 s, and dials one that was away after a back-off.
# Each stage ends as soon as its condition holds.
PATIENCE = 120.0


class ControlPlane(unittest.TestCase):
    kind: type[Kms]
    kms: Kms
    plugin: Plugin
    etcd: Etcd
    apiserver: ApiServer
    secrets: dict[str, bytes] = {}

    @classmethod
    def setUpClass(cls) -> None:
        temporary = runner.temporary_folder()
        cls.addClassCleanup(temporary.cleanup)
        folder = Path(temporary.name)
        pki = Pki(folder / "pki")

        cls.kms = cls.kind(folder, pki)
        cls.addClassCleanup(cls.kms.stop)
        cls.kms.start()

        cls.plugin = Plugin(Programs.plugin, Programs.kms_call, folder / "plugin", pki,
                            cls.kms.address, label=LABEL, user=cls.kms.user,
                            okms_id=cls.kms.okms_id)
        cls.addClassCleanup(cls.plugin.stop)
        cls.plugin.start()

        cls.etcd = Etcd(Programs.control_plane / "etcd", folder / "etcd")
        cls.addClassCleanup(cls.etcd.stop)
        cls.etcd.start()

        cls.apiserver = ApiServer(Programs.control_plane / "kube-apiserver", folder / "apiserver",
                                  pki, cls.etcd, encryption(
                                      ["secrets"], kms_provider(PROVIDER, cls.plugin.socket)))
        cls.addClassCleanup(cls.apiserver.stop)
        with stage("first start: ready"):
            cls.apiserver.start()
            cls.apiserver.wait_ready(PATIENCE)

    def test_1_secrets_are_encrypted_in_etcd(self) -> None:
        for number in range(5):
            self.write_new_secret(f"first-{number}")
        for name, value in self.secrets.items():
            stored = self.etcd.stored(f"/registry/secrets/default/{name}")
            self.assertTrue(stored.startswith(f"k8s:enc:kms:v2:{PROVIDER}:".encode()), stored[:40])
            self.assert_hidden(value, stored)
            for pattern in self.kms.stored():
                self.assertRegex(stored, pattern)
            for pattern in self.kms.never_stored():
                self.assertNotRegex(stored, pattern)
        self.read_all_secrets()

        # The same look at something that is not encrypted finds its value.
        value = new_value()
        self.apiserver.write("configmaps", "in-clear", data={"value": value.decode()})
        with self.assertRaises(AssertionError):
            self.assert_hidden(value, self.etcd.stored("/registry/configmaps/default/in-clear"))

    def test_2_everything_restarts_in_the_wrong_order(self) -> None:
        self.apiserver.stop()
        self.plugin.stop()
        self.kms.stop()
        decrypts = self.kms.decrypts()

        with stage("wrong order, no plugin: only the KMS provider is missing"):
            self.apiserver.start()
            self.apiserver.wait_for_the_kms_to_be_missed(PATIENCE)
        self.assert_secrets_are_out_of_reach()

        self.plugin.start()
        self.assertEqual(self.plugin.status().code, "UNAVAILABLE")
        self.apiserver.wait_for_the_kms_to_be_missed(PATIENCE)

        with stage("wrong order, KMS started last: ready"):
            self.kms.start()
            self.apiserver.wait_ready(PATIENCE)
        self.read_all_secrets()
        self.assertGreater(self.kms.decrypts(), decrypts, "the new apiserver had to ask the KMS")
        self.write_new_secret("second")
        self.read_all_secrets()

    def test_3_apiserver_restarts_while_the_kms_is_away(self) -> None:
        self.kms.stop()
        with stage("KMS away: plugin not ready"):
            wait_until(lambda: not self.plugin.status().ok, "error from the plugin", PATIENCE)
        self.apiserver.stop()
        with stage("KMS away, apiserver restarted: only the KMS provider is missing"):
            self.apiserver.start()
            self.apiserver.wait_for_the_kms_to_be_missed(PATIENCE)
        self.assert_secrets_are_out_of_reach()

        with stage("KMS back: ready"):
            self.kms.start()
            self.apiserver.wait_ready(PATIENCE)
        self.read_all_secrets()
        self.write_new_secret("third")
        self.read_all_secrets()

    def test_4_no_key_material_left_the_kms(self) -> None:
        operations = {request.operation for request in self.kms.requests()}
        self.assertLessEqual({"Encrypt", "Decrypt"}, operations)
        self.assertLessEqual(operations, self.kms.harmless)

    def test_5_both_sides_did_their_best(self) -> None:
        # KMIP's Discover Versions goes before the two agree on one.
        versions = {request.version for request in self.kms.requests()
                    if request.operation != "DiscoverVersions"}
        self.assertEqual(versions, {self.kms.version})

    def test_6_the_manifest_of_the_static_pod_is_a_pod(self) -> None:
        pod = yaml.safe_load(MANIFEST.read_text())
        path = "/api/v1/namespaces/kube-system/pods?dryRun=All&fieldValidation=Strict"
        answer = self.apiserver.request("POST", path, pod)
        self.assertEqual(answer.status, 201, answer.body.decode())
        # Its files are not here; of everything before them there is nothing to say.
        argv = [str(Programs.plugin), "--check-config", *pod["spec"]["containers"][0]["args"]]
        said = subprocess.run(argv, capture_output=True, text=True, check=False).stderr
        self.assertIn("--client-cert /etc/okms/client.pem: ", said)

        pod["spec"]["containers"][0]["volumeMount"] = []
        answer = self.apiserver.request("POST", path, pod)
        self.assertEqual(answer.status, 400, "strict validation sees what is wrong")

    def write_new_secret(self, name: str) -> None:
        value = new_value()
        self.apiserver.write_secret(name, value)
        self.secrets[name] = value

    def read_all_secrets(self) -> None:
        for name, value in self.secrets.items():
            self.assertEqual(self.apiserver.read_secret(name), value, name)

    def assert_secrets_are_out_of_reach(self) -> None:
        """The apiserver answers, but neither reads nor writes a Secret without its KMS."""
        with self.assertRaisesRegex(RuntimeError, "500"):
            self.apiserver.read_secret(next(iter(self.secrets)))
        with self.assertRaisesRegex(RuntimeError, "500"):
            self.apiserver.write_secret("never-written", new_value())

    def assert_hidden(self, value: bytes, stored: bytes) -> None:
        self.assertNotIn(value, stored)
        self.assertNotIn(base64.b64encode(value), stored)


def new_value() -> bytes:
    return os.urandom(24).hex().encode()


def missing() -> list[str]:
    return ControlPlane.kind.missing() + runner.missing_programs(
        Programs.control_plane, ("kube-apiserver", "etcd"),
        f"scripts/control-plane {Programs.control_plane}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--protocol", choices=PROTOCOLS, required=True)
    options, sys.argv[1:] = parser.parse_known_args()
    ControlPlane.kind = PROTOCOLS[options.protocol]
    runner.main("__main__", missing, programs=("plugin", "kms_call", *ControlPlane.kind.programs),
                control_plane=True)
