# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""What the scenarios find on the machine: the provider, a KMS, users, and where a scenario asks for
it a control plane.

All of it is written to the disk before the machine boots. On NixOS the modules do this instead;
../README.md lists what a scenario relies on.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import control_plane
import kms
from overlay import TOOLS, Overlay
from scenario import Test
from units import NAME, Units

# Not of the installation: what the scenarios call.
_TOOLS = ("okms-mock-kms", "okms-kms-call", "okms-bench")


@dataclass(frozen=True)
class Mutation:
    """A change of the provider's units, to see a scenario fail: SUFFIX/OLD=>NEW, OLD a regular
    expression; applied to all of them."""

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
    units: dict[str, Units]  # of each test
    mutations: tuple[Mutation, ...] = ()

    def install(self, disk: Overlay, test: Test) -> None:
        disk.path(TOOLS).mkdir(parents=True, exist_ok=True)
        for program in _TOOLS:
            shutil.copy(self.build / program, disk.path(TOOLS))
        kms.install(disk, self.build)
        units = self.units[test.name]
        files = units.place(disk, self.build, self.cmake)
        if not files:  # the scenario itself brings them
            return
        for mutation in self.mutations:
            mutation.apply([file for file in files if file.suffix == f".{mutation.suffix}"])
        units.enable(disk)
        # A stranger, and a member of the group.
        disk.write("/etc/sysusers.d/vm-tests.conf",
                   "u stranger -\nu member -\nm member okms-kms\n")
        disk.add_users()
        if "control-plane" in test.scenario.needs:
            control_plane.install(disk, self.control_plane, units.encryption())
            disk.write("/etc/vm-tests/stored-by-go.json", _stored_by_go(test.protocol))

    def missing(self) -> list[str]:
        return [f"{self.build / program}: build the project first" for program in (NAME, *_TOOLS)
                if not os.access(self.build / program, os.X_OK)]

    def missing_control_plane(self) -> list[str]:
        return [f"{self.control_plane / program}: scripts/control-plane {self.control_plane}"
                for program in control_plane.PROGRAMS
                if not os.access(self.control_plane / program, os.X_OK)]


def _stored_by_go(protocol: str) -> str:
    """Of the recorded values, that of the protocol."""
    records = json.loads((Path(__file__).parents[1] / "stored-by-go.json").read_text())
    return json.dumps({"name": records["name"], "plaintext": records["plaintext"],
                       "value": records[protocol]})
