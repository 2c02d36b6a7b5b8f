# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""Runs a test file: its programs, what it needs of the machine, and logs when something fails."""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import sys
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path

from processes import Process, stop_everything

SKIPPED = 77  # what CTest is told to count as skipped


class Programs:
    """Paths of the programs under test, from the command line."""

    plugin: Path
    kms_call: Path
    mock_kms: Path
    list_snapshot: Path
    ctl: Path
    control_plane: Path  # a folder
    schemathesis: Path  # a folder


class _Result(unittest.TextTestResult):
    """Adds the logs of the processes that ran during a failed test."""

    def startTest(self, test: unittest.TestCase) -> None:
        self._started_before = len(Process.everything)
        super().startTest(test)

    def addError(self, test: unittest.TestCase, err) -> None:
        super().addError(test, err)
        self._print_logs()

    def addFailure(self, test: unittest.TestCase, err) -> None:
        super().addFailure(test, err)
        self._print_logs()

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._print_logs()

    def _print_logs(self) -> None:
        known = getattr(self, "_started_before", 0)
        concerned = {id(process): process for index, process in enumerate(Process.everything)
                     if index >= known or process.running()}
        for process in concerned.values():
            self.stream.writeln(process.tail())


class _Runner(unittest.TextTestRunner):
    resultclass = _Result


def missing_pykmip() -> list[str]:
    absent = [name for name in ("kmip", "cryptography") if importlib.util.find_spec(name) is None]
    return [f"python module {name} of {sys.executable}: apt-get install python3-pykmip"
            for name in absent]


def missing_programs(folder: Path, names: tuple[str, ...], how: str) -> list[str]:
    absent = [name for name in names if not os.access(folder / name, os.X_OK)]
    return [f"{folder / name}: {how}" for name in absent]


def main(module: str, missing: Callable[[], list[str]], *,
         programs: tuple[str, ...] = ("plugin", "kms_call"), folders: tuple[str, ...] = (),
         control_plane: bool = False) -> None:
    """`programs` and `folders`: which of `Programs` the command line names; what a folder must hold
    is for `missing` to say. `control_plane`: the tests are one story in that folder's programs; it
    ends at a failure."""
    parser = argparse.ArgumentParser(epilog="Further arguments go to unittest, e.g. -f or -k NAME.")
    for name in (*programs, *folders, *(("control_plane",) if control_plane else ())):
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, required=True)
    options, rest = parser.parse_known_args()
    for name, value in vars(options).items():
        setattr(Programs, name, value.resolve())

    absent = missing() + [
        line for program in (getattr(Programs, name) for name in programs)
        for line in missing_programs(program.parent, (program.name,), "build the project first")]
    if absent:
        required = os.environ.get("OKMS_REQUIRE_ALL") == "1"
        print(f"{'FAILED' if required else 'SKIPPED'}, missing: {'; '.join(absent)}")
        sys.exit(1 if required else SKIPPED)

    if os.geteuid() == 0:  # the plugin becomes another user: one that is nobody else's here
        os.environ.setdefault("OKMS_USER", "47000:47000")

    # A test that is told to end still stops what it started. unittest lets only this exception out.
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        unittest.main(module, argv=[sys.argv[0], *rest], verbosity=2,
                      failfast=control_plane or None,
                      testRunner=_Runner)
    finally:
        stop_everything()


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    # Short: the path of a unix socket has 107 bytes at most.
    return tempfile.TemporaryDirectory(prefix="okms-", ignore_cleanup_errors=True)
