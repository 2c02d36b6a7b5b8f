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


def of_program(program: Path) -> list[Option]:
    options: list[Option] = []
    # Without any variable: they are the defaults of the flags.
    for line in subprocess.run([program, "--help"], check=True, capture_output=True, text=True,
                               env={}).stdout.partition("\nExamples:")[0].splitlines():
        head = _HEAD.fullmatch(line)
        if head:
            options.append(Option(tuple(re.split(", *", head["names"])), head["value"] is not None,
                                  head["old"] or head["new"], head["variable"],
                                  head["text"].strip()))
        elif options and line.startswith(" " * 10):
            last = options[-1]
            options[-1] = Option(last.names, last.takes_value, last.default, last.variable,
                                 f"{last.text} {line.strip()}".strip())
    if len(options) < 10 or not all(option.text for option in options):
        raise ValueError(f"--help of {program} does not look as expected: {options}")
    return options
