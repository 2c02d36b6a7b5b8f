# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""Nothing is left behind: everything runs in mount and pid namespaces that end with this program.

Killing systemd-nspawn alone does not kill what runs in it, and unshare(1) ignores SIGTERM, so a
parent waits outside and kills the whole namespace when it is told to end.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

# Once we are in the namespaces: the id of the run, which is the process id of the parent.
_INSIDE = "OKMS_VM_TESTS_INSIDE"
_PREFIX = "okms-vm-tests-"
_PR_SET_PDEATHSIG = 1


def run_id() -> str:
    return os.environ[_INSIDE]


def missing() -> list[str]:
    """Nothing can be mounted for ourselves alone where the root is no mount point."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [] if "/" in points else [
        "a root that is a mount point (this is a chroot, or a container that is one): "
        "a container with a root of its own"]


def isolate() -> None:
    """Goes on only inside; outside it exits with the status of the inside."""
    if _INSIDE in os.environ:
        Path("/run/systemd/nspawn").mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run/systemd/nspawn"], check=True)
        return

    _sweep()
    run = str(os.getpid())
    libc = ctypes.CDLL(None)
    inside = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "--pid", "--fork",
         "--kill-child=SIGKILL", "--mount-proc", sys.executable, "-B", *sys.argv],
        env={**os.environ, _INSIDE: run},
        preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: inside.kill())
    status = inside.wait()
    for cgroup in cgroups(run):
        remove_cgroup(cgroup)
    sys.exit(status if status >= 0 else 128 - status)


def cgroups(run: str) -> list[Path]:
    """One of each hierarchy in which systemd keeps its units."""
    return [hierarchy / f"{_PREFIX}{run}" for hierarchy in _hierarchies()]


def _hierarchies() -> list[Path]:
    root = Path("/sys/fs/cgroup")
    return [root / name for name in ("systemd", "unified") if (root / name).is_dir()] or [root]


def _sweep() -> None:
    """Empty cgroups are all that is left of a run whose parent was killed at once."""
    for hierarchy in _hierarchies():
        for cgroup in hierarchy.glob(f"{_PREFIX}*"):
            if not Path("/proc", cgroup.name.removeprefix(_PREFIX)).exists():
                remove_cgroup(cgroup)


def join(cgroup: Path) -> None:
    (cgroup / "cgroup.procs").write_text(str(os.getpid()))


def kill(cgroup: Path) -> None:
    with contextlib.suppress(OSError):  # only cgroup2 has it
        (cgroup / "cgroup.kill").write_text("1")


def remove_cgroup(cgroup: Path) -> None:
    end = time.monotonic() + 5  # what was killed needs a moment to go
    while cgroup.is_dir() and time.monotonic() < end:
        for folder, _, _ in os.walk(cgroup, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        time.sleep(0.02)
