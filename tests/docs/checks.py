# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""How the tests of this folder run: each does one check, and says what it finds."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable, Iterable

SKIPPED = 77  # what CTest is told to count as skipped
# One of a test's, and the programs that it needs.
Check = tuple[Callable[[argparse.Namespace], None], list[str]]


class Failure(Exception):
    pass


def run(name: str, programs: Iterable[str], check: Callable[[], None]) -> int:
    """The exit status of that check, which needs these programs."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        required = os.environ.get("OKMS_REQUIRE_ALL") == "1"
        print(f"{'FAILED' if required else 'SKIPPED'}, missing: {', '.join(missing)}")
        return 1 if required else SKIPPED
    try:
        check()
    except Failure as failure:
        print(f"{name}: {failure}")
        return 1
    return 0
