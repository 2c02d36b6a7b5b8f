# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""A mock KMS and two plugins that use the same key of it, for okms-bench to compare."""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))

# pylint: disable=wrong-import-position
from okms import Front, OkmsMock, nginx  # noqa: E402
from processes import Process, free_port  # noqa: E402

KEY = "70001308-5674-43fe-93dd-6270ecac0710"
_ASKED = re.compile("^asked so far:(.*)\n", re.MULTILINE)


def missing_for(protocol: str) -> str | None:
    """What this machine lacks for it."""
    return "nginx" if protocol == "rest-http2" and nginx() is None else None


class Programs(NamedTuple):
    build: Path  # the folder of ours
    other: Sequence[str]  # the command that the common flags are added to


class Scene:
    """Everything runs between `start` and `stop`."""

    def __init__(self, programs: Programs, folder: Path, protocol: str, delay: str) -> None:
        """`folder` exists and is empty; its path is short. `protocol`: kmip, rest, or rest-http2,
        through nginx, since the mock speaks HTTP/1.1. `delay`: of each answer of the KMS."""
        self._programs, self._folder, self._protocol = programs, folder, protocol
        self._kmip_port = free_port()
        self._mock = OkmsMock(programs.build / "okms-mock-kms", folder, [f"id={KEY}"],
                              "--port", str(self._kmip_port), "--answer-get", "--delay", delay)
        self._front: Front | None = None
        self._plugins = [Process(name, folder / f"{name}.log") for name in ("this", "other")]
        self.sockets = [folder / f"{process.name}.sock" for process in self._plugins]

    def start(self) -> None:
        self._mock.start()
        if self._protocol == "rest-http2":
            self._front = Front(self._mock, self._folder / "front")
            self._front.start()
        for process, path, command in zip(self._plugins, self.sockets, self.commands(self.sockets)):
            process.start(command)
            process.wait_until(functools.partial(_accepts, path), "listening socket", 20)

    def stop(self) -> None:
        front = [self._front.process] if self._front else []
        for process in [*self._plugins, *front, self._mock.process]:
            process.stop()

    def commands(self, sockets: Sequence[Path]) -> list[list[str]]:
        """Of this plugin and the other, each with a socket of these."""
        pki = self._mock.pki
        if self._protocol == "kmip":
            way = ["--protocol", "kmip", "--serv-addr", f"127.0.0.1:{self._kmip_port}"]
        else:
            url = self._front.url if self._front else self._mock.url
            way = ["--protocol", "rest", "--serv-addr", url, "--okms-id", self._mock.okms_id]
        flags = [*way, "--encryption-key-id", KEY, "--client-cert", str(pki / "client.pem"),
                 "--client-key", str(pki / "client.key"), "--ca", str(pki / "ca.pem"), "--sock"]
        programs = ([str(self._programs.build / "okms-k8s-encryption-provider")],
                    self._programs.other)
        return [[*program, *flags, str(path)] for program, path in zip(programs, sockets)]

    def compare(self, *arguments: str) -> dict[str, Any]:
        """What okms-bench prints of both; calls that fail are in it."""
        sockets = self.sockets
        command: list[str] = []
        if "start" in arguments:  # beside those that run
            sockets = [self._folder / f"{name}.sock" for name in ("this-too", "other-too")]
            this, other = self.commands(sockets)
            command = ["--", *this, "--", *other]
        argv = [str(self._programs.build / "okms-bench"), "--sock", str(sockets[0]),
                "--other", str(sockets[1]), "--kms", str(self._mock.process.pid),
                *arguments, *command]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False)
        try:
            result: dict[str, Any] = json.loads(done.stdout.partition("\n")[0])
        except ValueError:
            raise RuntimeError(f"{' '.join(argv)} ended with {done.returncode}: "
                               f"{done.stderr}") from None
        return result


    def asked(self, operation: str) -> int:
        """How often the KMS was asked for it over KMIP so far, by the name in any case."""
        mock = self._mock.process
        before = len(_ASKED.findall(mock.logs[0].read_text()))
        os.kill(mock.pid, signal.SIGUSR1)
        lines = mock.wait_until(
            lambda: _ASKED.findall(mock.logs[0].read_text())[before:], "count", 10)
        words = lines[0].lower().split()
        return int(words[words.index(operation) + 1]) if operation in words else 0


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True
