# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""What the scenarios find on the machine: the provider installed as `cmake --install` does it, a
KMS, users, and where a scenario asks for it a control plane.

All of it is written to the disk before the machine boots. On NixOS the modules do this instead;
../README.md lists what a scenario relies on.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from machine import retry
from overlay import Overlay

NAME = "okms-k8s-encryption-provider"
# The keys of the mock KMS: id, label, AES-256 key. They survive its restart because they are given.
KEYS = (
    ("70001308-5674-43fe-93dd-6270ecac0710", "etcd", "11" * 32),
    ("8d4f5c02-2d1c-4f0e-9a83-0d1d8f2f6a01", "one", "22" * 32),
    ("9e5a6d13-3e2d-4a1f-8b94-1e2e9a3a7b02", "two", "33" * 32),
)
_PKI = "/var/lib/okms-mock-kms/pki"
_BIN = "usr/local/bin"


@dataclass(frozen=True)
class Mutation:
    """A change of an installed unit, to see a scenario fail: UNIT/OLD/NEW, OLD a regular
    expression; applied to both pairs."""

    suffix: str
    old: str
    new: str

    @staticmethod
    def parse(text: str) -> Mutation:
        parts = text.split("/", 1)
        if len(parts) != 2 or "=>" not in parts[1]:
            raise ValueError(f"--mutate {text}: give SUFFIX/OLD=>NEW, for example "
                             "service/^Restart=.*=>Restart=no")
        old, new = parts[1].split("=>", 1)
        return Mutation(parts[0], old, new)

    def apply(self, units: list[Path]) -> None:
        changes = 0
        for unit in units:
            text, count = re.subn(self.old, self.new, unit.read_text(), flags=re.MULTILINE)
            unit.write_text(text)
            changes += count
        if changes == 0:
            raise ValueError(f"--mutate: nothing in any {self.suffix} is {self.old}")


@dataclass(frozen=True)
class Provision:
    build: Path  # the build folder
    cmake: str
    control_plane: Path  # the folder of kube-apiserver and etcd
    mutations: tuple[Mutation, ...] = ()

    def install(self, disk: Overlay, needs: frozenset[str]) -> None:
        subprocess.run([self.cmake, "--install", str(self.build), "--strip"], check=True,
                       stdout=subprocess.DEVNULL, env={**os.environ, "DESTDIR": str(disk.root)})
        for program in ("okms-kms-call", "okms-bench"):
            shutil.copy(self.build / program, disk.root / _BIN / program)
        for mutation in self.mutations:
            mutation.apply([unit for folder in ("usr/local/lib", "usr/lib") for unit in
                            (disk.root / folder).glob(f"systemd/system/{NAME}*.{mutation.suffix}")])
        self._add_users(disk)
        self._add_kms(disk)
        _configure(disk, "", KEYS[0][0])
        # On demand, so that a scenario sees it start.
        _enable(disk, f"{NAME}.socket")
        if "instances" in needs:
            for instance, key in (("one", KEYS[1]), ("two", KEYS[2])):
                _configure(disk, instance, key[0])
                _enable(disk, f"{NAME}@{instance}.service")
        if "control-plane" in needs:
            self._add_control_plane(disk)

    def missing(self) -> list[str]:
        programs = [NAME, "okms-mock-kms", "okms-kms-call", "okms-bench"]
        return [f"{self.build / program}: build the project first" for program in programs
                if not os.access(self.build / program, os.X_OK)]

    def missing_control_plane(self) -> list[str]:
        return [f"{self.control_plane / program}: scripts/control-plane {self.control_plane}"
                for program in ("kube-apiserver", "etcd")
                if not os.access(self.control_plane / program, os.X_OK)]

    def _add_users(self, disk: Overlay) -> None:
        # Beside the user and group of the installed file: a stranger, and a member of the group.
        disk.write("/etc/sysusers.d/vm-tests.conf",
                   "u stranger -\nu member -\nm member okms-kms\n")
        subprocess.run(["systemd-sysusers", f"--root={disk.root}"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _add_kms(self, disk: Overlay) -> None:
        keys = " ".join(f"--key id={key_id},name={label},material={material}"
                        for key_id, label, material in KEYS)
        disk.write("/etc/systemd/system/okms-mock-kms.service",
                   "[Unit]\nDescription=Mock KMS\n"
                   "[Service]\nType=exec\n"
                   f"ExecStart=/{_BIN}/okms-mock-kms --pki {_PKI} --port 5696 {keys}\n"
                   "[Install]\nWantedBy=multi-user.target\n")
        _enable(disk, "okms-mock-kms.service")
        # It makes its certificates when it starts.
        pki = disk.root / _PKI.lstrip("/")
        maker = subprocess.Popen([self.build / "okms-mock-kms", "--pki", pki],
                                 stdout=subprocess.DEVNULL)
        try:
            retry((pki / "client.key").exists, 10, "certificates of the mock KMS")
        finally:
            maker.terminate()
            maker.wait()

    def _add_control_plane(self, disk: Overlay) -> None:
        for program in ("kube-apiserver", "etcd"):
            shutil.copy(self.control_plane / program, disk.root / _BIN / program)
        folder = disk.root / "etc/control-plane"
        folder.mkdir()
        _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
                 "-subj", "/CN=kube-apiserver", "-addext", "subjectAltName=IP:127.0.0.1",
                 "-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.crt"))
        disk.write("/etc/control-plane/tokens.csv", "admin,admin,admin,system:masters\n", 0o600)
        disk.write("/etc/control-plane/encryption.json", json.dumps({
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "EncryptionConfiguration",
            "resources": [{
                "resources": ["secrets"],
                "providers": [{"kms": {
                    "apiVersion": "v2", "name": "okms", "timeout": "3s",
                    "endpoint": f"unix:///run/{NAME}/kms.sock",
                }}],
            }],
        }))
        disk.write("/etc/systemd/system/etcd.service", """\
[Unit]
Description=etcd
[Service]
Type=notify
StateDirectory=etcd
ExecStart=/usr/local/bin/etcd --data-dir /var/lib/etcd \\
  --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379
[Install]
WantedBy=multi-user.target
""")
        # A user of its own, as a member of the group: it needs no more to reach the provider.
        disk.write("/etc/sysusers.d/control-plane.conf",
                   "u kubernetes -\nm kubernetes okms-kms\n")
        subprocess.run(["systemd-sysusers", f"--root={disk.root}"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        subprocess.run(["chroot", str(disk.root), "chown", "-R", "kubernetes:",
                        "/etc/control-plane"], check=True)
        disk.write("/etc/systemd/system/kube-apiserver.service", """\
[Unit]
Description=kube-apiserver
After=etcd.service
[Service]
Type=notify
User=kubernetes
Restart=on-failure
WorkingDirectory=/etc/control-plane
ExecStart=/usr/local/bin/kube-apiserver --etcd-servers http://127.0.0.1:2379 \\
  --bind-address 127.0.0.1 --advertise-address 127.0.0.1 --secure-port 6443 \\
  --tls-cert-file tls.crt --tls-private-key-file tls.key \\
  --token-auth-file tokens.csv --authorization-mode RBAC \\
  --service-account-issuer https://localhost \\
  --service-account-key-file tls.key --service-account-signing-key-file tls.key \\
  --service-cluster-ip-range 10.0.0.0/24 --endpoint-reconciler-type none \\
  --disable-admission-plugins ServiceAccount --encryption-provider-config encryption.json
[Install]
WantedBy=multi-user.target
""")
        _enable(disk, "etcd.service", "kube-apiserver.service")


def _configure(disk: Overlay, instance: str, key_id: str) -> None:
    """An instance, or the plain pair: as docs/operations.md tells an administrator to do it."""
    folder = f"/etc/{NAME}/{instance}".rstrip("/")
    disk.write(f"{folder}/environment",
               "OKMS_PROTOCOL=kmip\n"
               "OKMS_SERV_ADDR=localhost:5696\n"
               f"OKMS_KEY_ID={key_id}\n")
    pki = disk.root / _PKI.lstrip("/")
    disk.write(f"{folder}/client.pem", (pki / "client.pem").read_text())
    disk.write(f"{folder}/client.key", (pki / "client.key").read_text(), 0o600)
    unit = f"{NAME}@{instance}" if instance else NAME
    disk.write(f"/etc/credstore/{unit}.ca", (pki / "ca.pem").read_text())


def _enable(disk: Overlay, *units: str) -> None:
    subprocess.run(["systemctl", "--quiet", f"--root={disk.root}", "enable", *units], check=True,
                   stderr=subprocess.DEVNULL)


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
