# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""What docs/guides say can be done: each block of them has behind its language what is known of it.

commands: all that begins with okms-kms-ctl has a command and options of the program's; blocks of
    "run here" run, those of a page one after the other in one folder; who is named by "run by" is a test.
blocks: YAML is YAML, and an EncryptionConfiguration is what okms-kms-ctl check takes.
nix: Nix is Nix. scripts/nix-checks asks for this one, which needs no program.
links: what a page leads to is there, sections as well.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import checks
import options
import yaml
from checks import Failure

SOCKET = "/run/okms-k8s-encryption-provider/kms.sock"
KEY = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="
# The files that the pages take for granted.
GIVEN = {
    "before.yaml": {"aescbc": {"keys": [{"name": "key1", "secret": KEY}]}},
    "other-kms.yaml": {"kms": {"apiVersion": "v2", "name": "other",
                               "endpoint": "unix:///run/other/kms.sock"}},
}
# Kinds of blocks, by language.
KINDS = {
    "console": r"run here|run by ([\w.]+)|not run here",
    "yaml": r"parsed|EncryptionConfiguration(?: unencrypted| foreign)?",
    "nix": r"parsed",
}


class Block(NamedTuple):
    page: Path
    line: int
    language: str
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    found: list[Block] = []
    start, lines = 0, []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if line.startswith("```") and not start:
            start, (language, _, kind) = number, line[3:].partition(" ")
            lines = []
            if not re.fullmatch(KINDS.get(language, "(?!)"), kind):
                raise Failure(f"{page.name}:{number}: a block of {language!r}, {kind!r}: say what is "
                              f"known of it, one of {KINDS}")
        elif line == "```":
            found.append(Block(page, start, language, kind, "\n".join(lines) + "\n"))
            start = 0
        elif start:
            lines.append(line)
    if start:
        raise Failure(f"{page.name}:{start}: has no end")
    return found


def pages(arguments: argparse.Namespace) -> list[Path]:
    found = sorted(arguments.guides.glob("*.md"))
    if len(found) < 10:
        raise Failure(f"only {found}")
    return found


def all_blocks(arguments: argparse.Namespace, language: str) -> Iterator[Block]:
    found = [block for page in pages(arguments) for block in blocks_of(page)
             if block.language == language]
    if not found:
        raise Failure(f"no block of {language}")
    return iter(found)


def commands_in(text: str) -> list[list[str]]:
    """Each okms-kms-ctl in it, without what a shell does with it."""
    text = re.sub(r"\bAUDIT\b(?=[ \n`]|$)", "okms-kms-ctl audit --endpoints URL", text)
    return [shlex.split(found) for found in
            re.findall(r"(?<![\w/-])okms-kms-ctl(?: +[^\s;|>)`&][^;|>)`&\n]*)?", text)]


def check_command(words: list[str], every: dict[str, dict[str, options.Option]], where: str) -> None:
    words = words[1:]
    if not words:
        return
    command = words[0] if not words[0].startswith("-") else ""
    if command not in every:
        raise Failure(f"{where}: okms-kms-ctl has no command {command}")
    rest = words[1:] if command else words
    while rest:
        name, sign, _ = rest.pop(0).partition("=")
        option = every[command].get(name)
        if option is None:
            raise Failure(f"{where}: okms-kms-ctl {command} has no option {name}")
        if sign and not option.takes_value:
            raise Failure(f"{where}: {name} takes no value")
        if option.takes_value and not sign and (rest and not rest[0].startswith("-")):
            rest.pop(0)


def check_commands(arguments: argparse.Namespace) -> None:
    by_command = {"": options.of_program(arguments.program),
                  **{name: options.of_program(arguments.program, name)
                     for name in options.commands_of(arguments.program)}}
    every = {command: {name: option for option in found for name in option.names}
             for command, found in by_command.items()}
    checked = 0
    for page in pages(arguments):
        for words in commands_in(page.read_text()):
            check_command(words, every, page.name)
            checked += 1
    if checked < 30:
        raise Failure(f"only {checked} commands were found")

    tests = {each["name"] for each in json.loads(subprocess.run(
        ["ctest", "--test-dir", arguments.build, "--show-only=json-v1"], check=True,
        capture_output=True, text=True).stdout)["tests"]}
    for block in all_blocks(arguments, "console"):
        test = re.fullmatch(r"run by ([\w.]+)", block.kind)
        if test and test[1] not in tests:
            raise Failure(f"{block}: there is no test {test[1]}")
    for page in pages(arguments):
        run_here(arguments.program, [block for block in blocks_of(page) if block.kind == "run here"])


def run_here(program: Path, blocks: list[Block]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, provider in GIVEN.items():
            Path(folder, name).write_text(yaml.safe_dump({
                "apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration",
                "resources": [{"resources": ["secrets"], "providers": [provider, {"identity": {}}]}]}))
        for block in blocks:
            result = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block.text], cwd=folder, check=False,
                capture_output=True, text=True,
                env={**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"})
            if result.returncode != 0:
                raise Failure(f"{block}: status {result.returncode}: {result.stderr}")
        for file in Path(folder).glob("**/*.yaml"):
            if yaml.safe_load(file.read_text())["kind"] != "EncryptionConfiguration":
                raise Failure(f"{file.name} is no EncryptionConfiguration")


def findings(program: Path, text: str) -> dict[str, str]:
    """What check says of kube-apiserver's file: the outcome of each finding that is not good."""
    with tempfile.TemporaryDirectory() as folder:
        file, variables = Path(folder, "enc.yaml"), Path(folder, "environment")
        file.write_text(text)
        # Nobody is asked: there are no certificates.
        variables.write_text(f"OKMS_PROTOCOL=kmip\nOKMS_SERV_ADDR=127.0.0.1:1\nOKMS_KEY_ID=key\n"
                             f"OKMS_CLIENT_CERT=/nonexistent\nOKMS_CLIENT_KEY=/nonexistent\n"
                             f"OKMS_SOCK={SOCKET}\n")
        said = subprocess.run(
            [program, "check", "--env-file", variables, "--encryption-config", file, "-o", "json"],
            check=False, capture_output=True, text=True).stdout
    found = {each["id"]: each["outcome"] for each in json.loads(said)["findings"]
             if each["id"].startswith("encryption-config.")}
    if found.get("encryption-config.file") != "passed":
        raise Failure(f"check could not look: {said}")
    return {name: outcome for name, outcome in found.items() if outcome != "passed"}


def check_blocks(arguments: argparse.Namespace) -> None:
    seen = set()
    for block in all_blocks(arguments, "yaml"):
        seen.add(block.kind)
        try:
            document = yaml.safe_load(block.text)
        except yaml.YAMLError as error:
            raise Failure(f"{block}: {error}") from error
        if not isinstance(document, dict):
            raise Failure(f"{block}: is no map")
        if block.kind == "parsed":
            continue
        expected = {
            "EncryptionConfiguration": {},
            "EncryptionConfiguration unencrypted": {"encryption-config.order": "failed"},
            "EncryptionConfiguration foreign": {"encryption-config.endpoint": "failed"},
        }[block.kind]
        found = findings(arguments.program, block.text)
        if found != expected:
            raise Failure(f"{block}: check says {found}, expected {expected}")
    if len(seen) != 4:
        raise Failure(f"only {seen}")


def check_nix(arguments: argparse.Namespace) -> None:
    for block in all_blocks(arguments, "nix"):
        result = subprocess.run(["nix-instantiate", "--option", "build-users-group", "", "--parse", "-"], input=block.text, check=False,
                                capture_output=True, text=True)
        if result.returncode != 0:
            raise Failure(f"{block}: {result.stderr}")


def sections_of(page: Path) -> set[str]:
    """As GitHub names them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
            for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


def check_links(arguments: argparse.Namespace) -> None:
    checked = 0
    repository = arguments.guides.parents[1]
    for page in [*pages(arguments), arguments.guides.parent / "operations.md",
                 arguments.guides.parent / "alerts.md", repository / "README.md"]:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if "://" in link:
                continue
            target, _, section = link.partition("#")
            file = (page.parent / target).resolve() if target else page
            if not file.exists():
                raise Failure(f"{page.name}: {link} leads nowhere")
            if section and section not in sections_of(file):
                raise Failure(f"{page.name}: {link}: there is no such section")
            checked += 1
    if checked < 50:
        raise Failure(f"only {checked} links were found")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("program", "guides", "build"):
        parser.add_argument(f"--{name}", type=Path, required=name == "guides")
    known: dict[str, checks.Check] = {
        "commands": (check_commands, ["bash", "ctest"]), "blocks": (check_blocks, []),
        "nix": (check_nix, ["nix-instantiate"]), "links": (check_links, []),
    }
    parser.add_argument("check", choices=known)
    arguments = parser.parse_args()

    check, programs = known[arguments.check]
    return checks.run(arguments.check, programs, lambda: check(arguments))


if __name__ == "__main__":
    sys.exit(main())
