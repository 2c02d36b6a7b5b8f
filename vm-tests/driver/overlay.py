# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""The disk of a machine: a root file system, this machine's own as a rule, under a throw-away layer
of memory."""

from __future__ import annotations

import subprocess
from pathlib import Path

# Of the system's own: they take time or do something for the machine below.
_MASKED = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer",
    "e2scrub_reap.service", "fstrim.timer", "getty@tty1.service", "kmod-static-nodes.service",
    "man-db.timer", "proc-sys-fs-binfmt_misc.automount", "serial-getty@hvc0.service",
    "serial-getty@ttyS0.service", "systemd-binfmt.service", "systemd-modules-load.service",
    "systemd-timesyncd.service",
)

# Where the driver puts programs of its own.
TOOLS = "/usr/local/bin"


class Overlay:
    """`root` is the file system. What is written to it stays in memory."""

    def __init__(self, folder: Path, lower: Path) -> None:
        self._memory = folder / "overlay"
        self._memory.mkdir()
        _run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(self._memory))
        upper, work, self.root = (self._memory / name for name in ("upper", "work", "root"))
        for path in (upper, work, self.root):
            path.mkdir()
        _run("mount", "-t", "overlay", "overlay",
             "-o", f"lowerdir={lower},upperdir={upper},workdir={work}", str(self.root))
        self._prepare()

    def remove(self) -> None:
        for path in (self.root, self._memory):
            subprocess.run(["umount", "--lazy", "--recursive", str(path)], check=False,
                           stderr=subprocess.DEVNULL)

    def path(self, path: str) -> Path:
        """Of the machine's file, here."""
        return self.root / path.lstrip("/")

    def write(self, path: str, text: str, mode: int = 0o644) -> Path:
        """Replaces it, also where it is a symbolic link."""
        target = self.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.write_text(text)
        target.chmod(mode)
        return target

    def link(self, path: str, target: str) -> None:
        link = self.path(path)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(target)

    def enable(self, *units: str) -> None:
        subprocess.run(["systemctl", "--quiet", f"--root={self.root}", "enable", *units],
                       check=True, stderr=subprocess.DEVNULL)

    def add_users(self) -> None:
        """Those of the sysusers.d files that are there by now."""
        subprocess.run(["systemd-sysusers", f"--root={self.root}"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _prepare(self) -> None:
        units = "/etc/systemd/system"
        # What this machine starts has no business in the test.
        enabled = {link.name for link in self.path(units).glob("*.wants/*")}
        for unit in enabled.union(_MASKED):
            self.link(f"{units}/{unit}", "/dev/null")
        self.link(f"{units}/default.target", "/lib/systemd/system/multi-user.target")
        # With it, systemd in a virtual machine takes it for a container and passes no credentials.
        (self.root / ".dockerenv").unlink(missing_ok=True)
        self.write("/etc/machine-id", "")  # a new one at each boot, and not a first boot
        self.write("/etc/hostname", "machine\n")
        self.write("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")
        self.write("/etc/resolv.conf", "")  # no test asks a name server
        # Cleaning up a used /tmp takes seconds.
        self.write("/etc/fstab", "tmpfs /tmp tmpfs mode=1777 0 0\n"
                                 "tmpfs /var/tmp tmpfs mode=1777 0 0\n")


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
