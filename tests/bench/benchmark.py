# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""Compares this plugin with another one: figures.json, figures.md and performance.svg.

The other plugin's command comes after --; flags are added that both take (--protocol, --serv-addr,
--okms-id, --encryption-key-id, --client-cert, --client-key, --ca, --sock).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import report
from measurements import ALL, Measurement
from scene import Programs, Scene, missing_for

_DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "performance.md"


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    model = models[0] if models else platform.machine()
    return f"{os.cpu_count()} cores ({model}), Linux {'.'.join(platform.release().split('.')[:2])}"


def measure(programs: Programs, wanted: list[Measurement], common: list[str]) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for (protocol, delay), group in itertools.groupby(wanted, lambda each: each[1:3]):
        with tempfile.TemporaryDirectory(prefix="okms-", ignore_cleanup_errors=True) as folder:
            scene = Scene(programs, Path(folder), protocol, delay)
            try:
                scene.start()
                for measurement in group:
                    print(measurement.name, file=sys.stderr)
                    results[measurement.name] = scene.compare(*common, *measurement.arguments)
            finally:
                scene.stop()
    return results


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmark", description=__doc__)
    parser.add_argument("--build", type=Path, required=True, help="folder of our programs")
    parser.add_argument("--out", type=Path, required=True, help="folder of what is written")
    parser.add_argument("--name", help="what the other plugin is called in the tables")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a load in a round")
    parser.add_argument("--only", default="", help="those measurements whose name has this in it")
    parser.add_argument("--write", action="store_true", help="into docs/performance.md, too")
    parser.add_argument("other", nargs="+", metavar="OTHER", help="the other plugin's command")
    options = parser.parse_args()

    wanted = [each for each in ALL if options.only in each.name]
    for protocol in {each.protocol for each in wanted}:
        if missing := missing_for(protocol):
            print(f"{protocol} is left out: no {missing} here", file=sys.stderr)
            wanted = [each for each in wanted if each.protocol != protocol]
    if os.geteuid() == 0:  # this plugin becomes another user: one that is nobody else's here
        os.environ.setdefault("OKMS_USER", "47000:47000")
    load = os.getloadavg()[0]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and stop what was started
    results = measure(Programs(options.build.resolve(), options.other), wanted,
                      ["--rounds", str(options.rounds), "--seconds", str(options.seconds)])
    figures = {"machine": machine(), "load": load, "rounds": options.rounds,
               "seconds": options.seconds, "other": options.name or Path(options.other[0]).name,
               "measurements": results}

    options.out.mkdir(parents=True, exist_ok=True)
    text, curves = report.markdown(figures), report.plot(figures)
    (options.out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    (options.out / "figures.md").write_text(text)
    if curves:
        (options.out / report.PLOT).write_text(curves)
    if options.write:
        _DOCUMENT.write_text(report.into(_DOCUMENT.read_text(), text))
        if curves:
            _DOCUMENT.with_name(report.PLOT).write_text(curves)
    print(text)


if __name__ == "__main__":
    main()
