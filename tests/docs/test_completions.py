# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""Each shell completes the flags of --help, and their values where it can know them.

bash and fish complete for real. zsh does so only in an interactive shell, so of its file it is what
it hands to _arguments that is looked at.
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import checks
import options
from checks import Failure
from options import Option

PLUGIN = "okms-k8s-encryption-provider"
CONTROL = "okms-kms-ctl"
CONFORMANCE = "okms-kms-conformance"
# By program: a line, but for its name, and what completes its last word.
VALUES = {
    PLUGIN: [
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
    ],
    CONTROL: [
        ("sta", {"status"}),
        ("file", set()),
        ("status -o ''", {"text", "json"}),
        ("status --output j", {"json"}),
        ("status --status fi", {"file 1.pem"}),
        ("bugreport --brief --socket fi", {"file 1.pem"}),
        ("bugreport -f fi", {"file 1.pem"}),
        ("status --instance ''", set()),
        ("status --brief --wa", {"--wait"}),
        ("bugreport --wa", set()),
        ("encryption-config --step ''", {"readers", "writer", "only"}),
        ("encryption-config --from fi", {"file 1.pem"}),
        ("audit --snapshot fi", {"file 1.pem"}),
        ("audit --etcd-cert fi", {"file 1.pem"}),
        ("audit --fail-u", {"--fail-unless-key"}),
        ("audit --endpoints ''", set()),
        ("audit --prove", {"--prove-readable"}),
        ("audit --apiserver-metrics fi", {"file 1.pem"}),
        ("audit --socket fi", {"file 1.pem"}),
    ],
    CONFORMANCE: [
        ("--socket fi", {"file 1.pem"}),
        ("-o ''", {"tap", "json"}),
        ("--list --output j", {"json"}),
        ("--patience ''", set()),
        ("fi", set()),
        ("--list --kms-", {"--kms-counts"}),
    ],
}
# What is special in bash and fish: a value after "=".
BASH_VALUES = {
    PLUGIN: [("-protocol r", {"rest"}), ("--protocol=", {"kmip", "rest"}),
             ("--protocol=r", {"rest"}), ("--ca=fi", {"file 1.pem"})],
    CONTROL: [("status --output=j", {"json"}), ("bugreport --file=fi", {"file 1.pem"})],
    CONFORMANCE: [("--output=j", {"json"}), ("--socket=fi", {"file 1.pem"})],
}
FISH_VALUES = {
    PLUGIN: [("--protocol=r", {"--protocol=rest"})],
    CONTROL: [("status --output=j", {"--output=json"})],
    CONFORMANCE: [("--output=j", {"--output=json"})],
}
ZSH_ACTIONS = {
    PLUGIN: [("--protocol", "(kmip rest)"), ("--user", "_users"), ("--allow-uid", "_users"),
             ("--sock-group", "_groups"), ("--allow-gid", "_groups"),
             *((name, "_files") for name in ("--ca", "--client-cert", "--client-key"))],
    CONTROL: [("-o", "(text json)"), ("--output", "(text json)"),
              ("--step", "(readers writer only)"), ("--from", "_files"),
              *((name, "_files") for name in ("-f", "--file", "--status", "--socket"))],
    CONFORMANCE: [("-o", "(tap json)"), ("--output", "(tap json)"), ("--socket", "_files")],
}


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


def names_of(every: list[Option]) -> set[str]:
    return {name for option in every for name in option.names}


def bash(file: Path, line: str) -> set[str]:
    """The words as bash breaks them. compopt works only while the editor completes: in its place, a
    line that says that names of files are to be quoted as such."""
    words = [word for part in shlex.split(line)
             for word in (re.findall("=|[^=]+", part) or [""])]
    function = f"_{file.stem.replace('-', '_')}"
    quoted = " ".join(shlex.quote(word) for word in (file.stem, *words))
    script = (f"source {shlex.quote(str(file))}; compopt() {{ echo \"$@\"; }}; "
              f"[[ $(complete -p {file.stem}) == *' -F {function} '* ]] || exit 1; "
              f"COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; {function}; "
              "printf '%s\\n' \"${COMPREPLY[@]}\"")
    return set(filter(None, run("bash", "--norc", "-euc", script).splitlines()))


def check_bash(file: Path, every: dict[str, list[Option]]) -> None:
    for command, options_of in every.items():
        same(f"flags of {command}", bash(file, f"{command} -"), names_of(options_of))
    same("commands", bash(file, "''") - names_of(every[""]), set(every) - {""})
    for line, words in [*VALUES[file.stem], *BASH_VALUES[file.stem]]:
        files = {"-o filenames"} if any("file" in word for word in words) else set()
        same(line, bash(file, line), words | files)


def fish(file: Path, line: str) -> set[str]:
    line = line.removesuffix("''")
    command = f"source {shlex.quote(str(file))}; complete -C {shlex.quote(f'{file.stem} {line}')}"
    return {row.split("\t")[0].replace("\\ ", " ")
            for row in run("fish", "--no-config", "-c", command).splitlines()}


def check_fish(file: Path, every: dict[str, list[Option]]) -> None:
    for command, options_of in every.items():
        names = names_of(options_of)
        long = fish(file, f"{command} --".lstrip())
        same(f"long flags of {command}", long, {name for name in names if name.startswith("--")})
        same(f"flags of {command}", fish(file, f"{command} -".lstrip()) | long, names)
    same("commands", fish(file, "''"), set(every) - {""})
    for line, words in [*VALUES[file.stem], *FISH_VALUES[file.stem]]:
        same(line, fish(file, line), words)
    takes_value = {f"--{name}": value != "" for name, value in
                   re.findall(r"^\$okms .*?-l (\S+)( -[xr])?", file.read_text(), re.M)}
    same("flags with a value", takes_value,
         {name: option.takes_value for options_of in every.values() for option in options_of
          for name in option.names if name.startswith("--")})


def zsh(file: Path, command: str) -> list[str]:
    """What the last word is completed with, when the one before is that command."""
    words = " ".join(word for word in (file.stem, command, "''") if word)
    script = (f"_arguments() {{ print -rl -- \"$@\" }}; words=({words}); CURRENT=${{#words}}; "
              f"complete() {{ source {shlex.quote(str(file))} }}; complete")
    return run("zsh", "-fc", script).splitlines()


def check_zsh(file: Path, every: dict[str, list[Option]]) -> None:
    actions: dict[str, str] = {}
    for command, options_of in every.items():
        found: dict[str, bool] = {}
        for spec in zsh(file, command):
            parts = re.fullmatch(r"(?:\([^)]*\)|\*)?(-[\w-]+)([=+]?)\[[^]]+\](?:((?:[^:]|\\:)*.*))?", spec)
            if spec.startswith("1:command:"):
                same("commands", spec, f"1:command:({' '.join(name for name in every if name)})")
                continue
            if parts is None:
                raise Failure(f"not understood: {spec}")
            name, sign, message = parts.groups()
            same(f"{name}, = and a value", sign != "", message.startswith(":"))
            found[name] = sign != ""
            actions[name] = message.rpartition(":")[2]
        same(f"flags of {command}", found,
             {name: option.takes_value for option in options_of for name in option.names})
    for name, action in ZSH_ACTIONS[file.stem]:
        same(name, actions[name], action)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    known = {"bash": check_bash, "fish": check_fish, "zsh": check_zsh}
    parser.add_argument("shell", choices=known)
    arguments = parser.parse_args()

    program: Path = arguments.program
    every = {"": options.of_program(program),
             **{name: options.of_program(program, name) for name in options.commands_of(program)}}
    file = arguments.folder.resolve() / f"{program.name}.{arguments.shell}"
    return checks.run(arguments.shell, [arguments.shell],
                      lambda: known[arguments.shell](file, every))


if __name__ == "__main__":
    sys.exit(main())
