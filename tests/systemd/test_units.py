# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""The units as `cmake --install` puts them, without a running systemd.

install: these files and no others, by default and as the component of tools. verify:
systemd-analyze finds nothing to say. security: the exposure that it computes is at most 1.0.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

NAME = "okms-k8s-encryption-provider"
CONTROL = "okms-kms-ctl"
CONFORMANCE = "okms-kms-conformance"
GUIDES = Path(__file__).parents[2] / "docs/guides"
SKIPPED = 77  # what CTest is told to count as skipped
# Exposure, times ten, as --threshold= wants it.
MOST_EXPOSURE = 10
KINDS = (".socket", ".service", "-alarm.timer", "-alarm.service",
         "-renew.path", "-renew.timer", "-renew.service", "-status.socket")
# The templates are looked at as one of their instances too.
UNITS = [NAME + kind.replace(".", f"{instance}.") for instance in ("", "@", "@one")
         for kind in KINDS]


class Failure(Exception):
    pass


def add_system(root: Path) -> Path:
    """What the units refer to besides: a shell, and targets. Returns the folder of the latter."""
    add_program(root / "bin/sh")
    folder = root / "etc/systemd/system"
    folder.mkdir(parents=True)
    for target in ("basic", "multi-user", "network", "paths", "shutdown", "sockets", "sysinit",
                   "timers"):
        (folder / f"{target}.target").write_text(f"[Unit]\nDescription={target}\n")
    return folder


def add_program(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o755)


class Tree:
    """What an installation puts below a folder of its own."""

    def __init__(self, root: Path, options: argparse.Namespace, *component: str) -> None:
        self.root = root
        self._units = root / Path(options.prefix, options.unit_folder).relative_to("/")
        subprocess.run([options.cmake, "--install", options.build, *component], check=True,
                       stdout=subprocess.DEVNULL, env={**os.environ, "DESTDIR": str(root)})

    def files(self) -> set[str]:
        return {f"/{path.relative_to(self.root)}" for path in self.root.rglob("*")
                if not path.is_dir()}

    def unit(self, name: str) -> Path:
        """Of the template, an instance: a file to be read by itself."""
        template = self._units / re.sub("@[^.]+", "@", name)
        path = self._units / name
        if path != template:
            shutil.copy(template, path)
        return path

    def add_drop_in(self, unit: str, example: Path) -> None:
        folder = self.root / f"etc/systemd/system/{unit}.d"
        folder.mkdir()
        shutil.copy(example, folder / example.name)


def same(found: set[str], paths: Iterable[Path]) -> None:
    expected = {str(path) for path in paths}
    if found != expected:
        raise Failure(f"missing: {sorted(expected - found)}; not expected: "
                      f"{sorted(found - expected)}")


def check_install(tree: Tree, options: argparse.Namespace) -> None:
    prefix = Path(options.prefix)
    units = prefix / options.unit_folder
    share = prefix / "share"
    found = tree.files()
    same(found, (
        prefix / "bin" / NAME,
        prefix / "bin" / CONFORMANCE,
        prefix / "bin" / CONTROL,
        prefix / "libexec" / NAME / "renew",
        *(units / name for name in UNITS if "@one" not in name),
        prefix / options.sysusers_folder / f"{NAME}.conf",
        prefix / options.tmpfiles_folder / f"{NAME}.conf",
        prefix / options.dbus_folder / f"{options.bus_name}.conf",
        share / f"dbus-1/interfaces/{options.bus_name}.xml",
        *(share / f"doc/{NAME}" / name
          for name in ("alerts.md", "conformance.md", "dashboard.svg", "encrypted-key.conf", "environment",
                       "operations.md")),
        *(share / f"doc/{NAME}/guides" / page.name for page in GUIDES.glob("*.md")),
        *(share / NAME / name for name in ("alerts.yaml", "dashboard.json")),
        *(share / path for program in (NAME, CONFORMANCE, CONTROL) for path in (
            f"man/man8/{program}.8",
            f"bash-completion/completions/{program}",
            f"zsh/site-functions/_{program}",
            f"fish/vendor_completions.d/{program}.fish",
        )),
    ))
    for path in found:
        text = (tree.root / path.lstrip("/")).read_bytes()
        if path.endswith((".service", ".socket", ".timer", ".path")) and (b"@OKMS" in text or b"${" in text):
            raise Failure(f"{path}: a placeholder is left")
    with tempfile.TemporaryDirectory(prefix="okms-tools-") as folder:
        tools = Tree(Path(folder), options, "--component", "tools")
        same(tools.files(), (prefix / f"bin/okms-{name}" for name in ("mock-kms", "kms-call", "bench")))


def verify(root: Path, units: list[str]) -> str:
    # An unknown key or system call is only a line on stderr, with status 0.
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", f"--root={root}", *units],
        capture_output=True, text=True, check=False)
    return result.stderr or (f"status {result.returncode}" if result.returncode else "")


def check_verify(tree: Tree, _: argparse.Namespace) -> None:
    add_system(tree.root)
    units = [str(tree.unit(name)) for name in UNITS if "@." not in name]
    service = tree.unit(f"{NAME}.service")
    documents = next(path.parent for path in tree.root.rglob("encrypted-key.conf"))
    tree.add_drop_in(service.name, documents / "encrypted-key.conf")
    said = verify(tree.root, units)
    if said:
        raise Failure(said)
    # The same look at something wrong finds it.
    good = service.read_text()
    for wrong in (good.replace("UMask=", "UMusk="),
                  good.replace("SystemCallFilter=seccomp", "SystemCallFilter=@nothing seccomp"),
                  re.sub("ExecStart=.*", "ExecStart=/nowhere", good)):
        service.write_text(wrong)
        if not verify(tree.root, units):
            raise Failure("verify does not see what is wrong")


def security(unit: Path) -> str:
    """Nothing when it is good enough."""
    result = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager",
         f"--threshold={MOST_EXPOSURE}", str(unit)],
        capture_output=True, text=True, check=False)
    return "" if result.returncode == 0 else result.stdout + result.stderr


def check_security(tree: Tree, _: argparse.Namespace) -> None:
    for name in UNITS:
        if name.endswith(".service"):
            said = security(tree.unit(name))
            if said:
                raise Failure(said)
    unit = tree.unit(f"{NAME}.service")
    unit.write_text(unit.read_text().replace("PrivateUsers=yes", "PrivateUsers=no"))
    if not security(unit):
        raise Failure("the threshold does not see that a line is missing")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("cmake", "build", "prefix", "unit-folder", "sysusers-folder", "tmpfiles-folder",
                 "dbus-folder", "bus-name"):
        parser.add_argument(f"--{name}", required=True)
    checks = {"install": check_install, "verify": check_verify, "security": check_security}
    parser.add_argument("check", choices=checks)
    options = parser.parse_args()

    if shutil.which("systemd-analyze") is None:
        required = os.environ.get("OKMS_REQUIRE_ALL") == "1"
        print(f"{'FAILED' if required else 'SKIPPED'}, missing: systemd-analyze")
        return 1 if required else SKIPPED
    with tempfile.TemporaryDirectory(prefix="okms-units-") as folder:
        try:
            checks[options.check](Tree(Path(folder), options), options)
        except Failure as failure:
            print(f"{options.check}: {failure}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
