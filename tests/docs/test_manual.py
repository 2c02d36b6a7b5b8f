# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""What the manual page and README.md say about the flags is what the program says.

options: OPTIONS of the page has the flags, variables, defaults and texts of --help, word for word.
clean: neither mandoc nor groff finds anything to say about the page.
readme: the table of README.md has the same flags, variables and defaults.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import checks
import options
from checks import Failure
from options import Option

# "(required)", "(required for rest)"; and defaults that --help has in its text.
REQUIRED = re.compile(r"\(required[^)]*\)")
DEFAULT = re.compile(r" Default: (.*)$")


def same(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise Failure(f"{what}: {found!r}, but --help has {expected!r}")


def default_of(option: Option) -> str | None:
    in_text = DEFAULT.search(option.text)
    return option.default or (in_text.group(1) if in_text else None)


def items_of_page(page: Path) -> dict[str, tuple[str, str]]:
    """By its first flag: an option's head and its first paragraph, as they are read."""
    shown = subprocess.run(["mandoc", "-Tascii", "-Owidth=1000", page], check=True,
                           capture_output=True, text=True).stdout
    plain = re.sub(".\b", "", shown)  # of bold and underlined letters, one
    section = re.search(r"^OPTIONS\n(.*?)^[A-Z]", plain, re.MULTILINE | re.DOTALL)
    if section is None:
        raise Failure(f"{page} has no OPTIONS")
    # Beside a short head, its text begins on the same line.
    items = re.findall(r"^ {5}(-\S.*?)(?:\n {6,}| {2,})(\S.*)$", section.group(1), re.MULTILINE)
    return {re.split("[, ]", head)[0]: (head, " ".join(text.split())) for head, text in items}


def check_options(arguments: argparse.Namespace) -> None:
    items = items_of_page(arguments.page)
    every = options.of_all(arguments.program)
    same("the page's options", sorted(items), sorted(option.names[0] for option in every))
    for option in every:
        head, text = items[option.names[0]]
        found = re.fullmatch(r"([^()]*?)(?: \((\w+)\))?", head)
        assert found is not None, head
        words = re.split("[, ]+", found.group(1))
        names = tuple(word for word in words if word.startswith("-"))
        same(f"{head}, flags", names, option.names)
        same(f"{head}, a value", len(words) > len(names), option.takes_value)
        same(f"{head}, variable", found.group(2), option.variable)
        default = f" Default: {option.default}." if option.default else ""
        same(f"{head}, text", text, f"{option.text}.{default}")


def check_clean(arguments: argparse.Namespace) -> None:
    # Of mandoc, not what is a matter of style: lines longer than 80 bytes, for one.
    commands = (["mandoc", "-Tlint", "-Wwarning", arguments.page],
                ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", arguments.page])
    for command in commands:
        result = subprocess.run(command, check=False, capture_output=True, text=True,
                                env={**os.environ, "LC_ALL": "C.UTF-8"})
        said = result.stderr + (result.stdout if command[0] == "mandoc" else "")
        if said or result.returncode != 0:
            raise Failure(f"{command[0]}, status {result.returncode}: {said}")


def check_readme(arguments: argparse.Namespace) -> None:
    by_name = {name: option for option in options.of_all(arguments.program)
               for name in option.names}
    seen: set[str] = set()
    for line in arguments.readme.read_text().splitlines():
        if not line.startswith("| `--"):
            continue
        flags, variables, _, default = (cell.strip() for cell in line.strip("|").split("|"))
        names = re.findall("`(--[^`]+)`", flags)
        # A row is one flag with its aliases, or several that belong together.
        row = list(dict.fromkeys(by_name[name] for name in names if name in by_name))
        same(f"{flags}, flags", names, [name for option in row for name in option.names])
        same(f"{flags}, variables", re.findall("`([^`]+)`", variables),
             [option.variable for option in row if option.variable])
        for option in row:
            required = REQUIRED.search(option.text)
            if required:
                same(f"{flags}, default", default.lower(), required.group().strip("()"))
            elif default_of(option) is not None:
                same(f"{flags}, default", default.strip("`"), default_of(option))
            elif not option.takes_value:
                same(f"{flags}, default", default, "off")
        seen.update(names)
    # What every program has is not worth a row.
    same("the flags of the table", seen, set(by_name) - {"-h", "--help", "--version"})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("program", "page", "readme"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    known: dict[str, checks.Check] = {
        "options": (check_options, ["mandoc"]), "clean": (check_clean, ["mandoc", "man"]),
        "readme": (check_readme, []),
    }
    parser.add_argument("check", choices=known)
    arguments = parser.parse_args()

    check, programs = known[arguments.check]
    return checks.run(arguments.check, programs, lambda: check(arguments))


if __name__ == "__main__":
    sys.exit(main())
