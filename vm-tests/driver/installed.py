# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""The provider as `cmake --install` installs it and docs/operations.md tells to configure it."""

from __future__ import annotations

from pathlib import Path

import kms
from overlay import Overlay
from scenario import Test
from units import NAME, Encryption, Units, install_program

_ENCRYPTION_CONFIG = "/etc/control-plane/encryption.json"


class InstalledUnits(Units):
    instance = ""

    def __init__(self, test: Test) -> None:
        self._protocol = test.protocol
        self._several = "instances" in test.scenario.needs

    def place(self, disk: Overlay, build: Path, cmake: str) -> list[Path]:
        install_program(disk, build, cmake)
        disk.add_users()  # of the file that was installed
        return [unit for folder in ("usr/local/lib", "usr/lib")
                for unit in disk.path(folder).glob(f"systemd/system/{NAME}*")]

    def enable(self, disk: Overlay) -> None:
        _configure(disk, "", "main", self._protocol)
        disk.enable(f"{NAME}.socket")
        if self._several:
            for instance in ("one", "two"):
                _configure(disk, instance, instance, self._protocol)
                disk.enable(f"{NAME}@{instance}.service")

    def encryption(self) -> Encryption:
        return Encryption(
            options=f"--encryption-provider-config={_ENCRYPTION_CONFIG}",
            path=_ENCRYPTION_CONFIG,
            configuration={
                "apiVersion": "apiserver.config.k8s.io/v1",
                "kind": "EncryptionConfiguration",
                "resources": [{
                    "resources": ["secrets"],
                    "providers": [
                        {"kms": {"apiVersion": "v2", "name": "okms", "timeout": "3s",
                                 "endpoint": f"unix:///run/{NAME}/kms.sock"}},
                        # To read what was stored before there was a provider.
                        {"identity": {}},
                    ],
                }],
            },
            # It needs no more to reach the provider.
            groups=["okms-kms"], wants=[], after=[])


def _configure(disk: Overlay, instance: str, key: str, protocol: str) -> None:
    folder = f"/etc/{NAME}/{instance}".rstrip("/")
    variables = kms.variables(key, protocol)
    disk.write(f"{folder}/environment",
               "".join(f"{name}={value}\n" for name, value in variables.items()))
    pki = disk.path(kms.PKI)
    disk.write(f"{folder}/client.pem", (pki / "client.pem").read_text())
    disk.write(f"{folder}/client.key", (pki / "client.key").read_text(), 0o600)
    unit = f"{NAME}@{instance}" if instance else NAME
    disk.write(f"/etc/credstore/{unit}.ca", (pki / "ca.pem").read_text())
