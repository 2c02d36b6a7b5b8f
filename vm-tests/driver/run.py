# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""Runs scenarios, each on a machine of its own that boots for it.

  run.py --lane nspawn|qemu --build DIR [SCENARIO...]

Prints a line for each subtest, and a summary. Exit status: 0, 1 when something failed, 77 when this
machine cannot run them (1 with OKMS_REQUIRE_ALL=1).

A scenario says in its first comments what it needs:
  # lanes: nspawn qemu
  # needs: instances control-plane
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import nspawn
import qemu
from isolation import isolate
from machine import Machine, RequestedAssertionFailed, log
from overlay import Overlay
from provision import Mutation, Provision

_SKIPPED = 77  # what CTest is told to count as skipped
_SCENARIOS = Path(__file__).resolve().parents[1] / "scenarios"
_LANES = ("nspawn", "qemu")


class Scenario:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.stem
        text = path.read_text()
        self.lanes = self._words("lanes", text)
        self.needs = self._words("needs", text)
        unknown = self.lanes - set(_LANES)
        if not self.lanes or unknown:
            raise ValueError(f"{path}: `# lanes:` names {sorted(unknown) or 'none'}")

    @staticmethod
    def _words(what: str, text: str) -> frozenset[str]:
        found = re.search(rf"^# {what}:(.*)$", text, re.MULTILINE)
        return frozenset(found.group(1).split() if found else ())


class Report:
    """One line a subtest."""

    def __init__(self, lane: str) -> None:
        self._lane = lane
        self._began = time.monotonic()
        self.scenarios = 0
        self.passed = 0
        self.failed: list[str] = []

    def line(self, good: bool, scenario: str, what: str, seconds: float) -> None:
        if good:
            self.passed += 1
        else:
            self.failed.append(f"{scenario}: {what}")
        print(f"{'ok    ' if good else 'FAILED'} {self._lane} {scenario}: {what} ({seconds:.1f} s)",
              flush=True)

    def summary(self) -> str:
        took = time.monotonic() - self._began
        return (f"{self._lane}: {self.scenarios} scenarios, {self.passed} subtests passed, "
                f"{len(self.failed)} failed, {took:.0f} s")


def run(scenario: Scenario, machine: Machine, report: Report) -> None:
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
            report.line(False, scenario.name, what, time.monotonic() - began)
            raise
        report.line(True, scenario.name, what, time.monotonic() - began)

    names = {"machine": machine, "start_all": machine.start, "subtest": subtest, "log": log,
             "__name__": "__scenario__"}
    began = time.monotonic()
    try:
        for path in (_SCENARIOS / "common.py", scenario.path):
            exec(compile(path.read_text(), str(path), "exec"), names)  # pylint: disable=exec-used
    except Exception as error:  # pylint: disable=broad-except
        if not named_failure:
            report.line(False, scenario.name, "outside of the subtests",
                        time.monotonic() - began)
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


def run_all(scenarios: list[Scenario], lane: str, provision: Provision, root: Path,
            kernel: Path, folder: Path) -> Report:
    report = Report(lane)
    for number, scenario in enumerate(scenarios):
        report.scenarios += 1
        state = folder / str(number)
        state.mkdir()
        disk = Overlay(state, root)
        machine: Machine = (nspawn.NspawnMachine("machine", state, disk) if lane == "nspawn"
                            else qemu.QemuMachine("machine", state, disk, kernel))
        try:
            provision.install(disk, scenario.needs)
            run(scenario, machine, report)
        finally:
            machine.destroy()
    return report


def missing(lane: str, provision: Provision, kernel: Path,
            scenarios: list[Scenario]) -> list[str]:
    absent = [] if os.geteuid() == 0 else ["root"]
    absent += nspawn.missing() if lane == "nspawn" else qemu.missing(kernel)
    absent += provision.missing()
    if any("control-plane" in scenario.needs for scenario in scenarios):
        absent += provision.missing_control_plane()
    return absent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lane", choices=_LANES, default="nspawn")
    parser.add_argument("--build", type=Path, required=True, help="the build folder")
    parser.add_argument("--cmake", default="cmake")
    parser.add_argument("--control-plane", type=Path, help="default: BUILD/control-plane")
    parser.add_argument("--root", type=Path, default=Path("/"),
                        help="root file system of the machines, for example of another release of "
                             "Debian that debootstrap made; default: this machine's own")
    parser.add_argument("--kernel", type=Path, help="default: BUILD/guest-kernel")
    parser.add_argument("--mutate", type=Mutation.parse, action="append", default=[],
                        metavar="SUFFIX/OLD=>NEW", help=Mutation.__doc__)
    parser.add_argument("scenarios", nargs="*", help="names; default: all of the lane")
    options = parser.parse_args()

    every = [Scenario(path) for path in sorted(_SCENARIOS.glob("*.py")) if path.stem != "common"]
    names = options.scenarios or [scenario.name for scenario in every
                                  if options.lane in scenario.lanes]
    unknown = set(names) - {scenario.name for scenario in every}
    if unknown:
        parser.error(f"no scenario {', '.join(sorted(unknown))}")
    scenarios = [scenario for scenario in every if scenario.name in names]

    build = options.build.resolve()
    provision = Provision(build, options.cmake, options.control_plane or build / "control-plane",
                          tuple(options.mutate))
    kernel = options.kernel or build / "guest-kernel"
    absent = missing(options.lane, provision, kernel, scenarios)
    if absent:
        required = os.environ.get("OKMS_REQUIRE_ALL") == "1"
        print(f"{'FAILED' if required else 'SKIPPED'}, missing: {'; '.join(absent)}")
        return 1 if required else _SKIPPED

    isolate()
    # Gone with our mount namespace, whatever happens.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/mnt"], check=True)
    with tempfile.TemporaryDirectory(dir="/mnt") as folder:
        report = run_all(scenarios, options.lane, provision, options.root.resolve(), kernel,
                         Path(folder))
    print(report.summary())
    for failure in report.failed:
        print(f"  failed: {failure}")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
