# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""The package: the scenario installs it itself, from /srv/packages, on a clean Debian that has only
what it depends on (scripts/clean-root)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from overlay import TOOLS, Overlay
from units import Encryption, Units

_LIBRARIES = "/usr/local/lib/vm-tests"
# These are part of every system, and no two of them go together.
_SYSTEM = ("ld-linux", "libc.so", "libm.so")


class PackagedUnits(Units):
    instance = ""

    def __init__(self, packages: Path) -> None:
        self._packages = sorted(packages.glob("*.deb"))
        if not self._packages:
            raise ValueError(f"{packages}: no package; scripts/package makes it")

    def place(self, disk: Overlay, build: Path, cmake: str) -> list[Path]:
        folder = disk.path("/srv/packages")
        folder.mkdir()
        for package in self._packages:
            shutil.copy(package, folder)
        for tool in sorted(disk.path(TOOLS).iterdir()):
            _bring_libraries(disk, tool)
        return []

    def enable(self, disk: Overlay) -> None:
        pass  # the scenario does

    def encryption(self) -> Encryption:
        raise NotImplementedError("no control plane on a clean Debian")


def _bring_libraries(disk: Overlay, tool: Path) -> None:
    """Where only the tool sees them: none that the package forgot to depend on comes along."""
    folder = disk.path(_LIBRARIES)
    folder.mkdir(exist_ok=True)
    for line in subprocess.run(["ldd", tool], check=True, capture_output=True,
                               text=True).stdout.splitlines():
        name, _, path = line.strip().partition(" => ")
        if path and not name.startswith(_SYSTEM):
            shutil.copy(path.split()[0], folder / name)
    tool.rename(folder / tool.name)
    disk.write(f"{TOOLS}/{tool.name}", "#!/bin/sh\n"
               f'LD_LIBRARY_PATH={_LIBRARIES} exec {_LIBRARIES}/{tool.name} "$@"\n', 0o755)
