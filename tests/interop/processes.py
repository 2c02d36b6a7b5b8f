# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""Child processes of a test: started in a group of their own, always stopped, logs at hand.

`wait_until` is the only place that waits for time to pass. Everything else waits for a condition.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.05
TAIL_LINES = 25


def wait_until(predicate: Callable[[], T], what: str, seconds: float, *,
               every: float = POLL_SECONDS) -> T:
    """The first true answer of `predicate`; TimeoutError with its last answer otherwise."""
    deadline = time.monotonic() + seconds
    while True:
        answer = predicate()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise TimeoutError(f"no {what} within {seconds:g} s; last answer: {answer!r}")
        time.sleep(every)


def free_port() -> int:
    """A free loopback port below the range the kernel hands to outgoing connections.

    Inside that range a client that keeps dialling a stopped server can take the server's port, or
    even connect to itself, and the server could not come back.
    """
    for _ in range(200):
        port = random.randrange(15000, 32000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free loopback port between 15000 and 32000")


class Process:
    """One program. Its output goes to `log`; `more_logs` are files it writes by itself."""

    # In starting order; the test runner prints the logs of the ones a failed test had to do with.
    everything: list[Process] = []

    def __init__(self, name: str, log: Path, more_logs: Sequence[Path] = ()) -> None:
        self.name = name
        self.logs = [log, *more_logs]
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, argv: Sequence[str]) -> None:
        if self.running():
            raise RuntimeError(f"{self.name} runs already")
        with open(self.logs[0], "ab") as log:
            log.write(f"--- {' '.join(argv)}\n".encode())
            log.flush()
            self._child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )
        Process.everything.append(self)

    @property
    def pid(self) -> int:
        if self._child is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._child.pid

    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def wait_until(self, predicate: Callable[[], T], what: str, seconds: float, *,
                   every: float = POLL_SECONDS) -> T:
        """As the function of that name, but gives up at once when the program has ended."""
        def answer() -> T:
            if not self.running():
                status = self._child.returncode if self._child else None
                raise RuntimeError(f"{self.name} ended with status {status}, see its log")
            return predicate()

        return wait_until(answer, f"{what} of {self.name}", seconds, every=every)

    def stop(self, with_signal: signal.Signals = signal.SIGTERM, seconds: float = 15) -> int | None:
        """The exit status. A program that does not end in time is killed (status -9)."""
        if self._child is None:
            return None
        child, self._child = self._child, None
        if child.poll() is None:
            child.send_signal(with_signal)
            try:
                child.wait(seconds)
            except subprocess.TimeoutExpired:
                print(f"{self.name} ignored {with_signal.name} for {seconds:g} s: killed",
                      file=sys.stderr)
        try:
            os.killpg(child.pid, signal.SIGKILL)  # and whatever it left behind in its group
        except ProcessLookupError:
            pass
        return child.wait()

    def tail(self, lines: int = TAIL_LINES) -> str:
        text = []
        for log in self.logs:
            if log.exists():
                last = log.read_text(errors="replace").splitlines()[-lines:]
                text += [f"--- {self.name}: last lines of {log.name}", *last]
        return "\n".join(text)


def stop_everything() -> None:
    for process in reversed(Process.everything):
        process.stop(seconds=5)
