# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""The units that the NixOS module renders, as tests/nix/machines.nix gives them: those of systemd/
but for what the module says itself, without a word from systemd-analyze, and as hardened.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "systemd"))
# pylint: disable=wrong-import-position
from test_units import (  # noqa: E402
    NAME, Failure, add_program, add_system, security, verify)

# The module's own: configuration and credentials are options, and NixOS adds variables.
OWN_KEYS = {"Environment", "EnvironmentFile", "LoadCredential", "PathChanged", "Documentation",
            "X-StopIfChanged", "WantedBy", "Also"}


def settings(text: str) -> Counter[tuple[str, str, str]]:
    found: Counter[tuple[str, str, str]] = Counter()
    section = ""
    for line in text.splitlines():
        if heading := re.fullmatch(r"\[(\w+)]", line):
            section = heading.group(1)
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            # What names other units may stand in any order.
            for word in value.split() if section == "Unit" and key != "Description" else [value]:
                found[section, key, word] += 1
    return found


def differences(rendered: str, template: str) -> list[str]:
    one, other = settings(rendered), settings(template)
    return sorted(f"{'only in NixOS' if (one - other)[entry] else 'not in NixOS'}: "
                  f"[{entry[0]}] {entry[1]}={entry[2]}"
                  for entry in (one - other) + (other - one)
                  if entry[1] not in OWN_KEYS and not BINDING.fullmatch(entry[2]))


# What restarts an instance's socket when NixOS changes it: without its like in systemd/.
BINDING = re.compile(rf"{NAME}(?:-status)?-socket-\w+\.service")


def check_alike(units: dict[str, str], package: str, build: Path) -> None:
    service = (build / f"systemd/{NAME}@.service").read_text()
    prefix = re.findall(rf"^ExecStart=(\S+)/bin/{NAME}$", service, re.MULTILINE)[0]
    for name, text in units.items():
        if BINDING.fullmatch(name):
            continue
        match = re.fullmatch(rf"({NAME}(?:-alarm|-renew|-status)?)@(\w+)\.(service|socket|timer|path)", name)
        if match is None:
            raise Failure(f"{name}: no unit of an instance")
        unit, instance, suffix = match.groups()
        template = (build / f"systemd/{unit}@.{suffix}").read_text().replace("%i", instance)
        template = template.replace(f"{prefix}/", f"{package}/")
        found = differences(text, template)
        if found:
            raise Failure(f"{name}: {'; '.join(found)}")
        # The same look at something else finds it.
        for wrong in (re.sub("RemoveOnStop=yes|UMask=0077|StopWhenUnneeded=yes", "", text),
                      text + "\nNice=1"):
            if not differences(wrong, template):
                raise Failure(f"{name}: a difference from {template} is not seen")


def check_analysis(units: dict[str, str], package: str, root: Path) -> None:
    programs = {word for text in units.values()
                for word in re.findall(r"^ExecStart=(\S+)", text, re.MULTILINE)}
    if f"{package}/bin/{NAME}" not in programs:
        raise Failure(f"nobody starts {package}/bin/{NAME}")
    for program in programs:
        add_program(root / program.lstrip("/"))
    folder = add_system(root)
    for name, text in units.items():
        (folder / name).write_text(text)
    paths = [str(folder / name) for name in units]
    said = verify(root, paths)
    if said:
        raise Failure(said)
    for path in (Path(path) for path in paths
                 if path.endswith(".service") and not BINDING.fullmatch(Path(path).name)):
        said = security(path)
        if said:
            raise Failure(f"{path.name}: {said}")
        good = path.read_text()
        path.write_text(re.sub("PrivateUsers=yes|CapabilityBoundingSet=", "",
                               good.replace("UMask=", "UMusk=")))
        if not verify(root, [str(path)]) or not security(path):
            raise Failure(f"{path.name}: systemd-analyze does not see what is wrong")
        path.write_text(good)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True, help="a configured build folder")
    parser.add_argument("machines", type=Path, help="what machines.nix evaluates to, as JSON")
    options = parser.parse_args()
    machines = json.loads(options.machines.read_text())
    if not machines:
        print("there are no machines")
        return 1
    for name, machine in machines.items():
        try:
            check_alike(machine["units"], machine["package"], options.build)
            with tempfile.TemporaryDirectory(prefix="okms-nixos-") as folder:
                check_analysis(machine["units"], machine["package"], Path(folder))
        except Failure as failure:
            print(f"{name}: {failure}")
            return 1
    print(f"the units of {len(machines)} machines are those of systemd/, and as hardened")
    return 0


if __name__ == "__main__":
    sys.exit(main())
