# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""Each shell completes the flags of --help, and their values where it can know them.

bash and fish complete for real. zsh does so only in an interactive shell, so of its file it is what
it hands to _arguments that is looked at.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import options
from options import Option

NAME = "okms-k8s-encryption-provider"
SKIPPED = 77  # what CTest is told to count as skipped
# A line, but for the program's name, and what completes its last word.
VALUES = [
    ("--protocol ''", {"kmip", "rest"}),
    ("--protocol r", {"rest"}),
    ("--ca fi", {"file 1.pem"}),
    ("--client-cert fi", {"file 1.pem"}),
    ("--debug --client-key fi", {"file 1.pem"}),
    ("--user roo", {"root"}),
    ("--allow-uid roo", {"root"}),
    ("--allow-gid roo", {"root"}),
    ("--sock-group roo", {"root"}),
    ("--okms-id ''", set()),
    ("fi", set()),
    ("--client-c", {"--client-cert"}),
    ("--encryption-key-id x --ca-", {"--ca-only"}),
]


class Failure(Exception):
    pass


def run(*command: str) -> str:
    """In a folder with one file."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "file 1.pem").touch()
        result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if result.returncode != 0 or result.stderr:
        raise Failure(f"{command[0]}, status {result.returncode}: {result.stderr}")
    return result.stdout


def same(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise Failure(f"{what}: {found!r}, expected {expected!r}")


def bash(file: Path, line: str) -> set[str]:
    """The words as bash breaks them. compopt works only while the editor completes: in its place, a
    line that says that names of files are to be quoted as such."""
    words = [word for part in shlex.split(line)
             for word in (re.findall("=|[^=]+", part) or [""])]
    quoted = " ".join(shlex.quote(word) for word in (NAME, *words))
    script = (f"source {shlex.quote(str(file))}; compopt() {{ echo \"$@\"; }}; "
              f"[[ $(complete -p {NAME}) == *' -F _okms_k8s_encryption_provider '* ]] || exit 1; "
              f"COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; _okms_k8s_encryption_provider; "
              "printf '%s\\n' \"${COMPREPLY[@]}\"")
    return set(filter(None, run("bash", "--norc", "-euc", script).splitlines()))


def check_bash(file: Path, every: list[Option]) -> None:
    same("flags", bash(file, "-"), {name for option in every for name in option.names})
    for line, words in [*VALUES, ("-protocol r", {"rest"}), ("--protocol=", {"kmip", "rest"}),
                        ("--protocol=r", {"rest"}), ("--ca=fi", {"file 1.pem"})]:
        files = {"-o filenames"} if any("file" in word for word in words) else set()
        same(line, bash(file, line), words | files)


def fish(file: Path, line: str) -> set[str]:
    line = line.removesuffix("''")
    command = f"source {shlex.quote(str(file))}; complete -C {shlex.quote(f'{NAME} {line}')}"
    return {row.split("\t")[0].replace("\\ ", " ")
            for row in run("fish", "--no-config", "-c", command).splitlines()}


def check_fish(file: Path, every: list[Option]) -> None:
    same("long flags", fish(file, "--"),
         {name for option in every for name in option.names if name.startswith("--")})
    same("flags", fish(file, "-") - fish(file, "--"), {"-h"})
    for line, words in [*VALUES, ("--protocol=r", {"--protocol=rest"})]:
        same(line, fish(file, line), words)
    takes_value = {f"--{name}": value != "" for name, value in
                   re.findall(r"^\$okms .*?-l (\S+)( -[xr])?", file.read_text(), re.M)}
    same("flags with a value", takes_value,
         {name: option.takes_value for option in every for name in option.names
          if name.startswith("--")})


def check_zsh(file: Path, every: list[Option]) -> None:
    script = f"_arguments() {{ print -rl -- \"$@\" }}; source {shlex.quote(str(file))}"
    specs = run("zsh", "-fc", script).splitlines()
    found: dict[str, bool] = {}
    actions: dict[str, str] = {}
    for spec in specs:
        parts = re.fullmatch(r"(?:\([^)]*\)|\*)?(-[\w-]+)(=?)\[[^]]+\](?:((?:[^:]|\\:)*.*))?", spec)
        if parts is None:
            raise Failure(f"not understood: {spec}")
        name, equals, message = parts.groups()
        same(f"{name}, = and a value", equals == "=", message.startswith(":"))
        found[name] = equals == "="
        actions[name] = message.rpartition(":")[2]
    same("flags", found, {name: option.takes_value for option in every for name in option.names})
    for names, action in ((("--protocol",), "(kmip rest)"),
                          (("--ca", "--client-cert", "--client-key"), "_files"),
                          (("--user", "--allow-uid"), "_users"),
                          (("--sock-group", "--allow-gid"), "_groups")):
        for name in names:
            same(name, actions[name], action)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    checks = {"bash": check_bash, "fish": check_fish, "zsh": check_zsh}
    parser.add_argument("shell", choices=checks)
    arguments = parser.parse_args()

    if shutil.which(arguments.shell) is None:
        required = os.environ.get("OKMS_REQUIRE_ALL") == "1"
        print(f"{'FAILED' if required else 'SKIPPED'}, missing: {arguments.shell}")
        return 1 if required else SKIPPED
    try:
        checks[arguments.shell](arguments.folder.resolve() / f"{NAME}.{arguments.shell}",
                                options.of_program(arguments.program))
    except Failure as failure:
        print(f"{arguments.shell}: {failure}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
