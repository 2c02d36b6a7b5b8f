# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""Checks the driver and the scenarios without running them: pyflakes and mypy --strict. A scenario
is checked as the NixOS driver does it, as one text after common.py, once with the types of its
machine and once with those of ours.

  check.py   Exit status 1, and the findings, when there are any.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from scenario import SCENARIOS, all_tests

_DRIVER = Path(__file__).resolve().parent
# The names that both drivers give to a script.
_NAMES = """\
from collections.abc import Callable
from contextlib import AbstractContextManager
from {module} import Machine
machine: Machine
start_all: Callable[[], None]
subtest: Callable[[str], AbstractContextManager[None]]
"""
_INSTANCE = 'INSTANCE = "main"\n'
_COMMON = (SCENARIOS / "common.py").read_text()


def _run(program: str, *arguments: str, **environment: str) -> str:
    """What it finds."""
    result = subprocess.run([program, *arguments], capture_output=True, text=True, check=False,
                            env={**os.environ, **environment})
    if result.returncode not in (0, 1):
        raise RuntimeError(f"{program}: {result.stderr}")
    return result.stdout + result.stderr if result.returncode else ""


def _check(scripts: dict[str, str], folder: Path, program: str, *options: str,
           **environment: str) -> str:
    """The findings, with the lines of the files that the scripts consist of."""
    for name, before in scripts.items():
        (folder / f"{name}.py").write_text(
            before + _COMMON + (SCENARIOS / f"{name.split('-')[0]}.py").read_text())
    found = _run(program, *options, *(str(folder / f"{name}.py") for name in scripts),
                 **environment)

    def place(match: re.Match[str]) -> str:
        name, line = match.group(1), int(match.group(2)) - scripts[match.group(1)].count("\n")
        common = _COMMON.count("\n")
        return f"{name}.py:{line - common}" if line > common else f"common.py:{line}"

    found = re.sub(rf"{re.escape(str(folder))}/([^:]+)\.py:(\d+)", place, found)
    # What is wrong with common.py is found with each of them.
    return "".join(dict.fromkeys(found.splitlines(keepends=True)))


def main() -> int:
    names = sorted({test.scenario.path.stem for test in all_tests()})
    files = [str(path) for path in sorted(_DRIVER.glob("*.py"))]
    findings = _run("pyflakes3", *files)
    with tempfile.TemporaryDirectory() as folder:
        findings += _check({name: _INSTANCE for name in names}, Path(folder), "pyflakes3",
                           PYFLAKES_BUILTINS="machine,start_all,subtest")
    with tempfile.TemporaryDirectory() as folder:
        scripts = {f"{name}-{module}": _NAMES.format(module=module) + _INSTANCE
                   for name in names for module in ("machine", "nixos")}
        findings += _check(scripts, Path(folder), "mypy", "--strict", "--no-error-summary",
                           f"--cache-dir={folder}/cache", *files,
                           MYPYPATH=str(_DRIVER))
    print(findings, end="")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
