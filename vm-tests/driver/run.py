# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""Runs scenarios, each on a machine of its own that boots for it. One that knows several protocols
makes a test for each: NAME over KMIP, NAME_rest over REST.

  run.py --lane nspawn|qemu --build DIR [--rendered FILE] [TEST...]
  run.py --lane package --build DIR --packages DIR --root DIR

Prints a line for each subtest, and a summary. Exit status: 0, 1 when something failed, 77 when this
machine cannot run them (1 with OKMS_REQUIRE_ALL=1).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import isolation
import nspawn
import qemu
import rendered
from installed import InstalledUnits
from machine import Machine, RequestedAssertionFailed
from overlay import Overlay
from packaged import PackagedUnits
from provision import Mutation, Provision
from scenario import LANES, SCENARIOS, Test, all_tests
from units import Units

_SKIPPED = 77  # what CTest is told to count as skipped


class Report:
    """One line a subtest."""

    def __init__(self, lane: str) -> None:
        self._lane = lane
        self._began = time.monotonic()
        self.tests = 0
        self.passed = 0
        self.failed: list[str] = []

    def line(self, good: bool, test: Test, what: str, seconds: float) -> None:
        if good:
            self.passed += 1
        else:
            self.failed.append(f"{test.name}: {what}")
        print(f"{'ok    ' if good else 'FAILED'} {self._lane} {test.name}: {what} "
              f"({seconds:.1f} s)", flush=True)

    def summary(self) -> str:
        took = time.monotonic() - self._began
        return (f"{self._lane}: {self.tests} scenarios, {self.passed} subtests passed, "
                f"{len(self.failed)} failed, {took:.0f} s")


def run(test: Test, machine: Machine, instance: str, report: Report) -> None:
    """With the names that the NixOS driver gives to a test script."""
    named_failure = False

    @contextlib.contextmanager
    def subtest(what: str) -> Iterator[None]:
        nonlocal named_failure
        began = time.monotonic()
        try:
            yield
        except Exception:
            named_failure = True
            report.line(False, test, what, time.monotonic() - began)
            raise
        report.line(True, test, what, time.monotonic() - began)

    names = {"machine": machine, "start_all": machine.start, "subtest": subtest,
             "INSTANCE": instance, "__name__": "__scenario__"}
    began = time.monotonic()
    try:
        for path in (SCENARIOS / "common.py", test.scenario.path):
            exec(compile(path.read_text(), str(path), "exec"), names)  # pylint: disable=exec-used
    except Exception as error:  # pylint: disable=broad-except
        if not named_failure:
            report.line(False, test, "outside of the subtests", time.monotonic() - began)
        explain(machine, error)


def explain(machine: Machine, error: Exception) -> None:
    place = next((f"{Path(frame.filename).name}:{frame.lineno}: "
                  for frame in reversed(traceback.extract_tb(error.__traceback__))
                  if "scenarios" in frame.filename), "")
    print(f"  {place}{type(error).__name__}: {error}", flush=True)
    if not isinstance(error, (AssertionError, RequestedAssertionFailed)):
        traceback.print_exc()
    with contextlib.suppress(Exception):
        if machine.booted:
            print(machine.execute("journalctl --sync; journalctl --no-pager --lines=60 "
                                  "--output=short-monotonic --unit='okms-*' "
                                  "--unit=kube-apiserver.service", timeout=60)[1])
        else:
            print(machine.console_log.read_text(errors="replace")[-3000:])


def run_all(tests: list[Test], lane: str, provision: Provision, root: Path, kernel: Path,
            folder: Path) -> Report:
    report = Report(lane)
    for number, test in enumerate(tests):
        report.tests += 1
        state = folder / str(number)
        state.mkdir()
        disk = Overlay(state, root)
        machine: Machine = (qemu.QemuMachine("machine", state, disk, kernel) if lane == "qemu"
                            else nspawn.NspawnMachine("machine", state, disk))
        try:
            provision.install(disk, test)
            run(test, machine, provision.units[test.name].instance, report)
        finally:
            machine.destroy()
    return report


def missing(lane: str, provision: Provision, kernel: Path, tests: list[Test]) -> list[str]:
    absent = [] if os.geteuid() == 0 else ["root"]
    absent += qemu.missing(kernel) if lane == "qemu" else nspawn.missing()
    absent += provision.missing()
    absent += isolation.missing()
    if any("control-plane" in test.scenario.needs for test in tests):
        absent += provision.missing_control_plane()
    return absent


def choose(names: list[str], lane: str) -> list[Test]:
    """The tests of those names, or all of the lane."""
    every = all_tests()
    unknown = set(names) - {test.name for test in every}
    if unknown:
        raise SystemExit(f"run.py: no scenario {', '.join(sorted(unknown))}")
    return [test for test in every
            if test.name in names or not names and lane in test.scenario.lanes]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lane", choices=LANES, default="nspawn")
    parser.add_argument("--build", type=Path, required=True, help="the build folder")
    parser.add_argument("--cmake", default="cmake")
    parser.add_argument("--control-plane", type=Path, help="default: BUILD/control-plane")
    parser.add_argument("--root", type=Path, default=Path("/"),
                        help="root file system of the machines, for example of another release of "
                             "Debian that debootstrap made; default: this machine's own")
    parser.add_argument("--kernel", type=Path, help="default: BUILD/guest-kernel")
    parser.add_argument("--mutate", type=Mutation.parse, action="append", default=[],
                        metavar="SUFFIX/OLD=>NEW", help=Mutation.__doc__)
    parser.add_argument("--rendered", type=Path, metavar="FILE",
                        help="take the provider's units from there instead of installing ours; "
                             "see rendered.py")
    parser.add_argument("--packages", type=Path, metavar="DIR",
                        help="of the lane `package`: what there is to install; see packaged.py")
    parser.add_argument("tests", nargs="*", help="names; default: all of the lane")
    options = parser.parse_args()

    tests = choose(options.tests, options.lane)
    others = "installed" if options.rendered else "rendered"
    left_out = [test for test in tests if others in test.scenario.units]
    tests = [test for test in tests if test not in left_out]
    units: dict[str, Units] = {test.name: InstalledUnits(test) for test in tests}
    if options.rendered:
        units = dict(rendered.read(options.rendered, tests))
    elif options.packages:
        units = {test.name: PackagedUnits(options.packages) for test in tests}

    build = options.build.resolve()
    provision = Provision(build, options.cmake, options.control_plane or build / "control-plane",
                          units, tuple(options.mutate))
    kernel = options.kernel or build / "guest-kernel"
    absent = missing(options.lane, provision, kernel, tests)
    if absent:
        required = os.environ.get("OKMS_REQUIRE_ALL") == "1"
        print(f"{'FAILED' if required else 'SKIPPED'}, missing: {'; '.join(absent)}")
        return 1 if required else _SKIPPED

    isolation.isolate()
    if left_out:
        print(f"About the {others} units only: {', '.join(test.name for test in left_out)}",
              flush=True)
    # Gone with our mount namespace, whatever happens.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/mnt"], check=True)
    with tempfile.TemporaryDirectory(dir="/mnt") as folder:
        report = run_all(tests, options.lane, provision, options.root.resolve(), kernel,
                         Path(folder))
    print(report.summary())
    for failure in report.failed:
        print(f"  failed: {failure}")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
