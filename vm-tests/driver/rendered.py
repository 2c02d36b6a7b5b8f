# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""The provider by units that were made elsewhere, from the NixOS module for one: a JSON file with an
entry for each test, by its name (control_plane_rest, say):

  package        the store path that ExecStart= names; the program is installed there
  units          {name: text} of the units, taken over byte by byte. Their WantedBy= is heeded.
  users          {name: group}: those that the units name
  encryption     where there is a control plane:
    configuration  the EncryptionConfiguration
    path           where it goes
  apiserver      and of kube-apiserver's service:
    extraOpts      options
    groups, wants, after
                   lists of names

scripts/nix-checks makes such a file. Certificates are where the mock KMS keeps them, keys and
addresses those of ../keys.json, and the instance that a scenario is about is `main`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from overlay import Overlay
from scenario import Test
from units import Encryption, Units, install_program


class RenderedUnits(Units):
    instance = "main"

    def __init__(self, machine: dict[str, Any]) -> None:
        self._machine = machine

    def place(self, disk: Overlay, build: Path, cmake: str) -> list[Path]:
        # systemd does not look there for units: they are those of the file.
        install_program(disk, build, cmake, "--prefix", self._machine["package"])
        disk.write("/etc/sysusers.d/rendered.conf",
                   "".join(f"g {group} -\nu {user} -:{group}\n"
                           for user, group in self._machine["users"].items()))
        disk.add_users()
        for text in self._machine["units"].values():
            # What else of the store is started has nothing to do.
            for program in re.findall(r"^ExecStart=(/nix/store/\S+/true)$", text, re.MULTILINE):
                disk.write(program, "#!/bin/sh\n").chmod(0o755)
        return [disk.write(f"/etc/systemd/system/{name}", text)
                for name, text in self._machine["units"].items()]

    def enable(self, disk: Overlay) -> None:
        disk.enable(*(name for name, text in self._machine["units"].items()
                      if "\nWantedBy=" in text))

    def encryption(self) -> Encryption:
        apiserver, encryption = self._machine["apiserver"], self._machine["encryption"]
        return Encryption(apiserver["extraOpts"], encryption["path"], encryption["configuration"],
                          apiserver["groups"], apiserver["wants"], apiserver["after"])


def read(file: Path, tests: list[Test]) -> dict[str, RenderedUnits]:
    machines = json.loads(file.read_text())
    absent = [test.name for test in tests if test.name not in machines]
    if absent:
        raise SystemExit(f"{file}: no machine for {', '.join(absent)}")
    return {test.name: RenderedUnits(machines[test.name]) for test in tests}
