# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""The flags as the program itself lists them: what all that is written about them is held against."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

# CLI11 writes a default as TEXT=10s or, in later versions, TEXT [10s].
_HEAD = re.compile(r" +(?P<names>-[\w-]+(?:, *-[\w-]+)*)"
                   r"(?P<value> TEXT(?:=(?P<old>\S+)| \[(?P<new>\S+)\])?(?: \.\.\.)?)?"
                   r"(?: \(Env:(?P<variable>\w+)\))?(?P<text>(?: .*)?)")


@dataclass(frozen=True)
class Option:
    names: tuple[str, ...]
    takes_value: bool
    default: str | None
    variable: str | None
    text: str


def _help(program: Path, *command: str) -> str:
    # Without any variable: they are the defaults of the flags.
    return subprocess.run([program, *command, "--help"], check=True, capture_output=True, text=True,
                          env={}).stdout


def commands_of(program: Path) -> list[str]:
    """Its subcommands; none where it has flags alone."""
    _, _, listed = _help(program).partition("\nSubcommands:\n")
    return re.findall(r"^ {2}([\w-]+)", listed, re.MULTILINE)


def of_program(program: Path, *command: str) -> list[Option]:
    """Those of one subcommand, or those without one."""
    options: list[Option] = []
    text = re.split("\n(?:Examples|Subcommands):", _help(program, *command))[0]
    for line in text.splitlines():
        head = _HEAD.fullmatch(line)
        if head:
            options.append(Option(tuple(re.split(", *", head["names"])), head["value"] is not None,
                                  head["old"] or head["new"], head["variable"],
                                  head["text"].strip()))
        elif options and line.startswith(" " * 10):
            last = options[-1]
            options[-1] = Option(last.names, last.takes_value, last.default, last.variable,
                                 f"{last.text} {line.strip()}".strip())
    if not options or not all(option.text for option in options):
        raise ValueError(f"--help of {program} does not look as expected: {options}")
    return options


def of_all(program: Path) -> list[Option]:
    """Those of all its subcommands as well. An option of several is the same in each."""
    by_name: dict[str, Option] = {}
    for command in [(), *((command,) for command in commands_of(program))]:
        for option in of_program(program, *command):
            if by_name.setdefault(option.names[0], option) != option:
                raise ValueError(f"two texts: {by_name[option.names[0]]}, {option}")
    if len(by_name) < 8:
        raise ValueError(f"--help of {program} does not look as expected: {by_name}")
    return list(by_name.values())
