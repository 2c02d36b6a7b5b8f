# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""The part of a machine that does not depend on how it runs.

The methods are those of the NixOS test driver that the scenarios use, with the same meaning, so
that the same scenario files run there.
"""

from __future__ import annotations

import shlex
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

# What a scenario waits for takes seconds; who waits longer than this waits in vain.
PATIENCE = 60.0


class RequestedAssertionFailed(Exception):
    """The machine did not do what the scenario asked for."""


def log(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def retry(holds: Callable[[], bool], timeout: float, what: str) -> None:
    end = time.monotonic() + timeout
    pause = 0.05
    while not holds():
        if time.monotonic() > end:
            raise RequestedAssertionFailed(f"timed out after {timeout} s: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 1.0)


class Machine(ABC):
    """Boots at the first command, or by start(). After shutdown() it boots again with the same
    disk, but a new /run."""

    def __init__(self, name: str, state: Path) -> None:
        self.name = name
        self.state = state  # a folder for what the driver keeps
        self.console_log = state / "console.log"
        self.booted = False

    # How it runs.

    @abstractmethod
    def _boot(self) -> None:
        """Returns when commands can be run."""

    @abstractmethod
    def _run(self, script: str, timeout: float) -> tuple[int, str]:
        """Runs it by bash as root; its status and standard output. 124: it took too long."""

    @abstractmethod
    def _power_off(self, orderly: bool) -> None:
        pass

    @abstractmethod
    def destroy(self) -> None:
        """Stops it at once and forgets its disk. May be called at any time, and again."""

    # What scenarios use.

    def start(self) -> None:
        if not self.booted:
            self._boot()
            self.booted = True

    def shutdown(self) -> None:
        if self.booted:
            self._power_off(orderly=True)
            self.booted = False

    def log(self, message: str) -> None:
        log(f"       {self.name}: {message}")

    def execute(self, command: str, timeout: float = PATIENCE) -> tuple[int, str]:
        self.start()
        return self._run(f"set -euo pipefail; {command}", timeout)

    def succeed(self, *commands: str, timeout: float = PATIENCE) -> str:
        return self._all(commands, timeout, wanted=True)

    def fail(self, *commands: str, timeout: float = PATIENCE) -> str:
        return self._all(commands, timeout, wanted=False)

    def _all(self, commands: tuple[str, ...], timeout: float, wanted: bool) -> str:
        output = ""
        for command in commands:
            status, text = self.execute(command, timeout)
            if (status == 0) != wanted:
                how = f"failed with status {status}" if wanted else "succeeded, which is wrong"
                raise RequestedAssertionFailed(f"`{command}` {how}\n{text}")
            output += text
        return output

    def wait_until_succeeds(self, command: str, timeout: float = PATIENCE) -> str:
        return self._wait(command, timeout, wanted=True)

    def wait_until_fails(self, command: str, timeout: float = PATIENCE) -> str:
        return self._wait(command, timeout, wanted=False)

    def _wait(self, command: str, timeout: float, wanted: bool) -> str:
        output = ""

        def holds() -> bool:
            nonlocal output
            status, output = self.execute(command, timeout)
            return (status == 0) == wanted

        retry(holds, timeout, f"{'' if wanted else 'failure of '}`{command}`")
        return output

    def systemctl(self, arguments: str) -> tuple[int, str]:
        return self.execute(f"systemctl {arguments}")

    def get_unit_info(self, unit: str) -> dict[str, str]:
        lines = self.succeed(f"systemctl --no-pager show {shlex.quote(unit)}").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def get_unit_property(self, unit: str, name: str) -> str:
        return self.succeed(
            f"systemctl --no-pager show --value --property={name} {shlex.quote(unit)}").strip()

    def wait_for_unit(self, unit: str, timeout: float = PATIENCE) -> None:
        """Fails at once when it has failed, or is inactive and nobody starts it."""
        def active() -> bool:
            state = self.get_unit_property(unit, "ActiveState")
            if state == "failed" or (state == "inactive" and self._nothing_starts(unit)):
                raise RequestedAssertionFailed(f"{unit} is {state}\n" + self.succeed(
                    f"journalctl --no-pager --lines=30 --unit={shlex.quote(unit)} || true"))
            return state == "active"

        retry(active, timeout, f"{unit} to be active")

    def _nothing_starts(self, unit: str) -> bool:
        return ("No jobs" in self.succeed("systemctl list-jobs --full 2>&1")
                and self.get_unit_property(unit, "ActiveState") == "inactive")

    def wait_for_file(self, path: str, timeout: float = PATIENCE) -> None:
        self.wait_until_succeeds(f"test -e {shlex.quote(path)}", timeout)

    def wait_for_open_port(self, port: int, timeout: float = PATIENCE) -> None:
        self.wait_until_succeeds(f"exec 3<>/dev/tcp/localhost/{port}", timeout)
