# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""A container with a systemd of its own, by systemd-nspawn. Boots in half a second.

Its kernel is this machine's, and so are its limits: where this machine's cgroup controllers or
capabilities do not reach, MemoryMax=, TasksMax=, LimitMEMLOCK= and OOMScoreAdjust= have no effect
in it, without a word. The machine of qemu.py is for those.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import isolation
from machine import Machine
from overlay import Overlay

_BOOT_SECONDS = 60
_STOP_SECONDS = 30
_ENVIRONMENT = ("env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME=/root", "USER=root", "LANG=C.UTF-8", "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0")


def missing() -> list[str]:
    return [f"{program}: scripts/install-packages system"
            for program in ("systemd-nspawn", "nsenter", "unshare", "dbus-daemon")
            if shutil.which(program) is None]


class NspawnMachine(Machine):
    def __init__(self, name: str, state: Path, disk: Overlay) -> None:
        super().__init__(name, state)
        self._disk = disk
        self._cgroups = [cgroup / name for cgroup in isolation.cgroups(isolation.run_id())]
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0  # the systemd inside
        self._notifications: socket.socket | None = None

    def _boot(self) -> None:
        for cgroup in self._cgroups:
            (cgroup / "commands").mkdir(parents=True, exist_ok=True)
        self._notifications = self._listen()
        command = [
            "systemd-nspawn", "--boot", f"--directory={self._disk.root}",
            f"--machine={self.name}", "--hostname=machine",
            # There is no systemd below that could register it or make a unit of it.
            "--register=no", "--keep-unit", "--notify-ready=yes", "--console=read-only",
            "--link-journal=no", "--resolv-conf=off", "--timezone=off", "--private-network",
            "--capability=all", "--tmpfs=/tmp:mode=1777", "--tmpfs=/var/tmp:mode=1777",
        ]
        environment = {
            **os.environ, "NOTIFY_SOCKET": str(self.state / "notify"),
            "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
            # Its own filter would forbid the services mlock, seccomp's friends and Landlock; those
            # of the units are not concerned.
            "SYSTEMD_SECCOMP": "0",
        }
        with self.console_log.open("ab") as console:
            self._process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL,
                                             stdout=console, stderr=subprocess.STDOUT,
                                             preexec_fn=lambda: self._join(""))
        self._wait_ready()

    def _run(self, script: str, timeout: float) -> tuple[int, str]:
        command = ["nsenter", "--target", str(self._leader), "--all", "--", *_ENVIRONMENT,
                   "bash", "-c", script]
        with (self.state / "stderr.log").open("ab") as errors:
            try:
                result = subprocess.run(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                    timeout=timeout, check=False, preexec_fn=lambda: self._join("commands"))
            except subprocess.TimeoutExpired as expired:
                return 124, (expired.stdout or b"").decode(errors="replace")
        return result.returncode, result.stdout.decode(errors="replace")

    def _power_off(self, orderly: bool) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM if orderly else signal.SIGKILL)
        if not orderly:
            self._kill_cgroups()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill_cgroups()
            self._process.kill()
            self._process.wait()
        if self._notifications is not None:
            self._notifications.close()
        for cgroup in self._cgroups:
            isolation.remove_cgroup(cgroup)

    def destroy(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._power_off(orderly=False)
        self.booted = False
        self._disk.remove()

    def _join(self, part: str) -> None:
        for cgroup in self._cgroups:
            isolation.join(cgroup / part)

    def _kill_cgroups(self) -> None:
        for cgroup in self._cgroups:
            isolation.kill(cgroup)

    def _listen(self) -> socket.socket:
        path = self.state / "notify"
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listener.bind(str(path))
        return listener

    def _wait_ready(self) -> None:
        """nspawn says who leads, at once, and when the systemd inside has started everything."""
        assert self._notifications is not None and self._process is not None
        end = time.monotonic() + _BOOT_SECONDS
        while time.monotonic() < end and self._process.poll() is None:
            if not select.select([self._notifications], [], [], 0.2)[0]:
                continue
            for line in self._notifications.recv(8192).decode(errors="replace").splitlines():
                if line.startswith("X_NSPAWN_LEADER_PID="):
                    self._leader = int(line.partition("=")[2])
                if line == "READY=1":
                    # Nobody reads on, and a full queue would hold up nspawn, and so the systemd
                    # inside, which tells of each job that takes long.
                    self._notifications.close()
                    return
        raise RuntimeError("the container did not start:\n"
                           + self.console_log.read_text(errors="replace")[-3000:])
