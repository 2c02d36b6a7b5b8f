# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""A virtual machine with a kernel of its own, by qemu's emulation: no KVM is needed.

Slow (a boot takes ten seconds, cryptography a hundred times as long), but its kernel is Debian's
and obeys every limit. Its disk is the overlay, shared by virtiofsd. Commands go to a root shell on
a virtual console, framed as the NixOS test driver does it.
"""

from __future__ import annotations

import base64
import contextlib
import os
import select
import shlex
import shutil
import socket
import subprocess
import time
from pathlib import Path

from machine import Machine
from overlay import Overlay

_VIRTIOFSD = "/usr/lib/qemu/virtiofsd"
_MEMORY = "2048"  # MiB
_BOOT_SECONDS = 240
_STOP_SECONDS = 60
_GREETING = b"backdoor: ready\n"
_BACKDOOR = """\
[Unit]
Description=Root shell of the test driver
DefaultDependencies=no
After=basic.target
[Service]
Environment=HOME=/root USER=root LANG=C.UTF-8 SYSTEMD_PAGER= SYSTEMD_COLORS=0
Environment=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ExecStart=/bin/bash -c 'exec </dev/hvc0 >/dev/hvc0 2>/dev/console; stty -F /dev/hvc0 raw -echo; \
cd /; echo "backdoor: ready"; PS1= exec bash --norc'
Restart=always
KillSignal=SIGHUP
"""


def missing(kernel: Path) -> list[str]:
    absent = [f"{program}: scripts/install-packages qemu"
              for program in ("qemu-system-x86_64", _VIRTIOFSD) if shutil.which(program) is None]
    return absent + [f"{kernel / name}: scripts/guest-kernel {kernel}"
                     for name in ("vmlinuz", "initrd") if not os.access(kernel / name, os.R_OK)]


class QemuMachine(Machine):
    def __init__(self, name: str, state: Path, disk: Overlay, kernel: Path) -> None:
        super().__init__(name, state)
        self._disk = disk
        self._kernel = kernel
        self._processes: list[subprocess.Popen[bytes]] = []  # virtiofsd, then qemu
        self._shell: socket.socket | None = None
        self._unread = b""
        disk.write("/etc/systemd/system/backdoor.service", _BACKDOOR)
        disk.link("/etc/systemd/system/multi-user.target.wants/backdoor.service",
                  "../backdoor.service")

    def _boot(self) -> None:
        console = self.state / "hvc0.sock"
        files = self.state / "files.sock"
        for path in (console, files):
            path.unlink(missing_ok=True)
        self._spawn(_VIRTIOFSD, f"--socket-path={files}", "-o", f"source={self._disk.root}",
                    "-o", "cache=always", "-o", "announce_submounts", "--thread-pool-size=0")
        self._wait_for(files)
        self._spawn(
            "qemu-system-x86_64", "-nodefaults", "-no-reboot", "-display", "none",
            "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", _MEMORY, "-M", "q35",
            "-kernel", str(self._kernel / "vmlinuz"), "-initrd", str(self._kernel / "initrd"),
            "-append", "console=ttyS0 rw panic=-1 mitigations=off random.trust_cpu=on quiet",
            "-serial", f"file:{self.console_log}", "-device", "virtio-rng-pci",
            "-device", "virtio-serial-pci", "-device", "virtconsole,chardev=hvc0",
            "-chardev", f"socket,id=hvc0,path={console},server=on,wait=off",
            "-object", f"memory-backend-memfd,id=memory,size={_MEMORY}M,share=on",
            "-numa", "node,memdev=memory",
            "-chardev", f"socket,id=files,path={files}",
            "-device", "vhost-user-fs-pci,chardev=files,tag=root,queue-size=1024")
        self._wait_for(console)
        self._shell = socket.socket(socket.AF_UNIX)
        self._shell.connect(str(console))
        self._unread = b""
        end = time.monotonic() + _BOOT_SECONDS
        while _GREETING not in self._unread:
            self._receive(end)
        self._unread = self._unread.split(_GREETING, 1)[1]

    def _run(self, script: str, timeout: float) -> tuple[int, str]:
        assert self._shell is not None
        # The output on one line in base64, then the status.
        self._shell.sendall(
            f"timeout {int(timeout) + 1} bash -c {shlex.quote(script)} </dev/null "
            "| (base64 --wrap=0; echo); echo ${PIPESTATUS[0]}\n".encode())
        end = time.monotonic() + timeout + 30
        output = self._line(end)
        return int(self._line(end)), base64.b64decode(output).decode(errors="replace")

    def _power_off(self, orderly: bool) -> None:
        if orderly and self._shell is not None:
            self._shell.sendall(b"systemctl poweroff\n")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._processes[-1].wait(_STOP_SECONDS)
        for process in reversed(self._processes):
            process.kill()
            process.wait()
        self._processes.clear()
        if self._shell is not None:
            self._shell.close()
            self._shell = None

    def destroy(self) -> None:
        self._power_off(orderly=False)
        self.booted = False
        self._disk.remove()

    def _spawn(self, *command: str) -> None:
        with (self.state / f"{Path(command[0]).name}.log").open("ab") as log:
            self._processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                                    stderr=subprocess.STDOUT))

    def _wait_for(self, path: Path) -> None:
        end = time.monotonic() + 20
        while not path.exists():
            self._check_alive()
            if time.monotonic() > end:
                raise TimeoutError(f"no {path.name}")
            time.sleep(0.01)

    def _check_alive(self) -> None:
        for process in self._processes:
            if process.poll() is not None:
                logs = "".join(path.read_text(errors="replace")[-2000:]
                               for path in sorted(self.state.glob("*.log")))
                raise RuntimeError(f"the virtual machine ended:\n{logs}")

    def _receive(self, end: float) -> None:
        assert self._shell is not None
        if time.monotonic() > end:
            raise TimeoutError("no answer from the virtual machine:\n"
                               + self.console_log.read_text(errors="replace")[-2000:])
        if select.select([self._shell], [], [], 1)[0]:
            self._unread += self._shell.recv(65536)
        self._check_alive()

    def _line(self, end: float) -> bytes:
        while b"\n" not in self._unread:
            self._receive(end)
        line, self._unread = self._unread.split(b"\n", 1)
        return line.strip(b"\r")
