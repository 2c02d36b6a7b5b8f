# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""What the machine has of the provider: its units, and what goes with them."""

from __future__ import annotations

import os
import subprocess
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overlay import Overlay

NAME = "okms-k8s-encryption-provider"


@dataclass(frozen=True)
class Encryption:
    """What makes kube-apiserver use the provider."""

    options: str  # of its command line
    path: str  # where they say that the configuration is
    configuration: dict[str, Any]
    groups: list[str]  # of its service
    wants: list[str]
    after: list[str]


class Units(ABC):
    instance: str  # which one the scenarios mean by "the" provider; "" is the plain pair

    @abstractmethod
    def place(self, disk: Overlay, build: Path, cmake: str) -> list[Path]:
        """The program, its users and the unit files. Returns the latter."""

    @abstractmethod
    def enable(self, disk: Overlay) -> None:
        """The socket but not the service, so that a scenario sees it start on demand. Where a
        scenario needs them also the instances `one` and `two`, which start with the machine."""

    @abstractmethod
    def encryption(self) -> Encryption:
        pass


def install_program(disk: Overlay, build: Path, cmake: str, *options: str) -> None:
    subprocess.run([cmake, "--install", str(build), "--strip", *options], check=True,
                   stdout=subprocess.DEVNULL, env={**os.environ, "DESTDIR": str(disk.root)})
