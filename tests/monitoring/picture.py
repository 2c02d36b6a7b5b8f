# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""Draws monitoring/dashboard.json over six minutes of two plugins, as docs/dashboard.svg.

  tests/monitoring/picture.py --build build/release docs/dashboard.svg

A Prometheus (Debian: apt-get install prometheus) watches two real plugins, which have a mock KMS, a load
and what befalls them (story.py); each panel's own queries are asked of it as Grafana asks them
(grafana.py), and what comes back is drawn (drawing.py). Exit status 1, and which, when a query gave
nothing, neither while the KMS was away nor afterwards. It is not Grafana: what that draws otherwise is
not seen here.

CI does not run this, but test_picture.py, which tests what needs neither Prometheus nor six minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path

import drawing
import grafana
import story
from grafana import Json, Span

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))

# pylint: disable=wrong-import-position
from processes import Process, stop_everything  # noqa: E402
from runner import temporary_folder  # noqa: E402

_MONITORING = Path(__file__).resolve().parents[2] / "monitoring"
# What cannot be seen in this story: no kube-apiserver is part of it, and no certificate is at its end.
_NOT_HERE = {"Records that kube-apiserver wrote and read, by key: A",
             "Certificates expire in: B", "Certificates expire in: C"}
_SIZE = 150_000  # bytes of a picture that a document may have


def draw(dashboard: Json, span: Span, ask: grafana.Ask) -> tuple[str, set[str]]:
    """The picture, and the panels' queries that gave nothing."""
    values = grafana.variables(dashboard)
    panels, empty = [], set()
    for panel in dashboard["panels"]:
        found = []
        if panel["type"] != "row":
            found = grafana.series(panel, values, span, int(drawing.box_of(panel).width), ask)
            empty |= {f"{panel['title']}: {query}" for query in grafana.silent(panel, found)}
        panels.append((panel, found))
    return drawing.svg(panels, span), empty


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, required=True, help="folder of our programs")
    parser.add_argument("--in-outage", type=Path, help="draw it as it was before the KMS came back, too")
    parser.add_argument("picture", type=Path)
    arguments = parser.parse_args()
    if os.geteuid() == 0:  # the plugin becomes another user: one that is nobody else's here
        os.environ.setdefault("OKMS_USER", "47000:47000")

    dashboard = json.loads((_MONITORING / "dashboard.json").read_text())
    # Told to end, it still stops what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))
    with temporary_folder() as folder:
        try:
            scene = story.Story(arguments.build.resolve(), Path(folder), _MONITORING / "alerts.yaml")
            scene.start()
            moments = scene.run()
            ask = grafana.prometheus(scene.address)
            # What is only asked for now shows some of it while all is well, and some while it is not.
            bad, bad_empty = draw(dashboard, Span(moments.begin, moments.in_outage, story.SCRAPE_SECONDS), ask)
            good, good_empty = draw(dashboard, Span(moments.begin, moments.end, story.SCRAPE_SECONDS), ask)
        except BaseException:
            print(*(process.tail() for process in Process.everything), sep="\n", file=sys.stderr)
            raise
        finally:
            stop_everything()
    if arguments.in_outage:
        arguments.in_outage.write_text(bad)
    arguments.picture.write_text(good)
    wrong = [f"nothing to show: {query}" for query in sorted((bad_empty & good_empty) - _NOT_HERE)]
    wrong += [f"it can be shown: {query}" for query in sorted(_NOT_HERE - (bad_empty & good_empty))]
    if len(good.encode()) > _SIZE:
        wrong.append(f"{arguments.picture} has {len(good.encode())} bytes, more than {_SIZE}")
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
