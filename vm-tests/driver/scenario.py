# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""The scenario files, and what they say in their first comments:

  # lanes: nspawn qemu package    how its machine can run; required. package: it installs the package
                                  itself, and is given nothing else
  # needs: instances control-plane
  # units: installed              it is about what CMake installs, or (rendered) the NixOS module
                                  makes; default: about any units
  # protocols: kmip rest          to the KMS; a test for each; default: kmip
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

LANES = ("nspawn", "qemu", "package")
_KNOWN = {
    "lanes": frozenset(LANES),
    "needs": frozenset({"instances", "control-plane"}),
    "units": frozenset({"installed", "rendered"}),
    "protocols": frozenset({"kmip", "rest"}),
}
SCENARIOS = Path(__file__).resolve().parents[1] / "scenarios"


class Scenario:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._text = path.read_text()
        self.lanes = self._words("lanes")
        self.needs = self._words("needs")
        self.units = self._words("units")
        self.protocols = self._words("protocols") or frozenset({"kmip"})
        if not self.lanes:
            raise ValueError(f"{path}: no `# lanes:`")

    def _words(self, what: str) -> frozenset[str]:
        found = re.search(rf"^# {what}:(.*)$", self._text, re.MULTILINE)
        words = frozenset(found.group(1).split() if found else ())
        if not words <= _KNOWN[what]:
            raise ValueError(f"{self.path}: `# {what}:` names {sorted(words - _KNOWN[what])}")
        return words


@dataclass(frozen=True)
class Test:
    """A scenario over one of its protocols."""

    scenario: Scenario
    protocol: str

    @property
    def name(self) -> str:
        suffix = "" if self.protocol == "kmip" else f"_{self.protocol}"
        return self.scenario.path.stem + suffix


def all_tests() -> list[Test]:
    scenarios = [Scenario(path) for path in sorted(SCENARIOS.glob("*.py"))
                 if path.stem != "common"]
    return [Test(scenario, protocol) for scenario in scenarios
            for protocol in sorted(scenario.protocols)]
