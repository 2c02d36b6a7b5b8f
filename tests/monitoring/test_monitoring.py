# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""The alert rules and the dashboard of monitoring/ are of metrics that there are, and do what they say.

names: each metric and each label that is used is one of the plugin's, and its table has them all.
texts: each alert says what it is about, how bad it is, and has a part of docs/alerts.md.
rules: promtool has nothing to say about the rules.
alerts: promtool runs the tests of each alert, which see it fire and see it not fire.
dashboard: Grafana could read it, no panel lies on another one, promtool parses all that it asks, and
  a certificate has the colour of its alert.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

try:
    import yaml
except ImportError:
    yaml = None

SKIPPED = 77  # what CTest is told to count as skipped
METRIC = re.compile(r"\b(?:okms_kms|process)_\w+")
FIRING = 'ALERTS{{alertname="{}", alertstate="firing"}}'
# Labels that Prometheus adds, and those of others' metrics.
OTHERS_LABELS = {"alertname", "alertstate", "cluster", "instance", "job", "le", "name", "severity",
                 "state", "transformation_type"}


class Failure(Exception):
    pass


class Sources:
    def __init__(self, root: Path) -> None:
        self.metrics = (root / "src/control/metrics_text.cc").read_text()
        self.operations = (root / "docs/operations.md").read_text()
        self.handbook = (root / "docs/alerts.md").read_text()
        self.rules = root / "monitoring/alerts.yaml"
        self.dashboard = json.loads((root / "monitoring/dashboard.json").read_text())
        self.tests = sorted((root / "tests/monitoring/alerts").glob("*.yaml"))

    def alerts(self) -> list[dict]:
        groups = yaml.safe_load(self.rules.read_text())["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def panels(self) -> list[dict]:
        return [panel for panel in self.dashboard["panels"] if panel["type"] != "row"]

    def queries(self) -> list[str]:
        return [target["expr"] for panel in self.panels() for target in panel["targets"]]

    def variables(self) -> list[str]:
        return [variable["query"]["query"] for variable in self.dashboard["templating"]["list"]
                if variable["type"] == "query"]


def same(what: str, found: set[str], expected: set[str]) -> None:
    if found != expected:
        raise Failure(f"{what}; missing: {sorted(expected - found)}, "
                      f"not expected: {sorted(found - expected)}")


def table_names(text: str) -> Iterator[str]:
    """Of the rows of metrics; `..._total` there is the row's first name with another end."""
    for line in text.splitlines():
        cells = re.findall(r"`([^`]+)`", line.split("|")[1]) if line.startswith("|") else []
        if cells and METRIC.fullmatch(cells[0]):
            yield from (cell.replace("...", cells[0]) for cell in cells)


def labels_of(expression: str) -> set[str]:
    """In braces, and of what is kept: by (...), on (...)."""
    matched = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*[\"']", expression)
    kept = re.findall(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)", expression)
    return {*matched, *(name for names in kept for name in re.findall(r"\w+", names))}


def check_names(sources: Sources) -> None:
    text = sources.metrics
    families = dict(re.findall(r'\b(?:Begin|One|each)\(\s*"(\w+)",\s*k(Counter|Gauge|Histogram)\b', text))
    every = set(families)
    if len(every) < 30:
        raise Failure(f"only {len(every)} metrics were found in metrics_text.cc")
    same("the table of docs/operations.md", set(table_names(sources.operations)), every)

    parts = {name + part for name, kind in families.items() if kind == "Histogram"
             for part in ("_bucket", "_count", "_sum")}
    labels = OTHERS_LABELS | set(re.findall(r'"([a-z_]+)"', text))
    series = [one["series"] for path in sources.tests
              for test in yaml.safe_load(path.read_text())["tests"] for one in test["input_series"]]
    used = [rule["expr"] for rule in sources.alerts()] + sources.queries() + sources.variables() + series
    for expression in used:
        for name in METRIC.findall(expression):
            if name not in every | parts:
                raise Failure(f"there is no metric {name}: {expression}")
        if not labels_of(expression) <= labels:
            raise Failure(f"there is no label {labels_of(expression) - labels}: {expression}")
    for name in METRIC.findall(sources.handbook):
        if name not in every | parts:
            raise Failure(f"there is no metric {name}: docs/alerts.md")
    shown = {name for expression in sources.queries() for name in METRIC.findall(expression)}
    hidden = {name for name, kind in families.items()
              if not shown & ({name, name + "_bucket", name + "_sum"} if kind == "Histogram" else {name})}
    same("metrics that no panel shows", hidden, set())


def check_texts(sources: Sources) -> None:
    heads = re.findall(r"^### (OkmsKms\w+)$", sources.handbook, re.MULTILINE)
    same("the parts of docs/alerts.md", set(heads), {rule["alert"] for rule in sources.alerts()})
    for rule in sources.alerts():
        name, annotations = rule["alert"], rule["annotations"]
        if rule["labels"]["severity"] not in ("critical", "warning", "info"):
            raise Failure(f"{name}: severity {rule['labels']['severity']}")
        same(f"{name}, annotations", set(annotations), {"summary", "description", "runbook"})
        if annotations["runbook"] != f"docs/alerts.md#{name.lower()}":
            raise Failure(f"{name}: another runbook, {annotations['runbook']}")


def promtool(*arguments: object) -> None:
    result = subprocess.run(["promtool", *map(str, arguments)], check=False, capture_output=True, text=True)
    if result.returncode != 0:
        raise Failure(f"promtool {arguments[0]} {arguments[1]}: {result.stdout}{result.stderr}")


def check_rules(sources: Sources) -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", sources.rules)


def check_alerts(sources: Sources) -> None:
    same("the files of tests", {path.stem for path in sources.tests},
         {rule["alert"] for rule in sources.alerts()})
    for path in sources.tests:
        cases = [case for test in yaml.safe_load(path.read_text())["tests"]
                 for case in test["promql_expr_test"]]
        same(f"{path.name}, what is looked at", {case["expr"] for case in cases},
             {FIRING.format(path.stem)})
        if len({bool(case["exp_samples"]) for case in cases}) != 2:
            raise Failure(f"{path.name}: it must be seen to fire, and not to fire")
    promtool("test", "rules", *sources.tests)


def check_certificates(sources: Sources, folder: Path) -> None:
    """A certificate is under one query of its panel: all is well, or the alert warns, or it is critical."""
    hour, day = 3600, 24 * 3600
    cases = ((100 * day, 365 * day), (20 * hour, day)), ((5 * day, 365 * day), (7 * hour, day)), \
        ((12 * hour, 365 * day), (hour, day))  # what is left, and the whole life
    series, looks = [], []
    panel = next(panel for panel in sources.panels() if panel["title"] == "Certificates expire in")
    for target, certificates in zip(panel["targets"], cases, strict=True):
        samples = []
        for left, life in certificates:
            labels = f'{{job="okms-kms", instance="{left}"}}'
            for edge, value in (("after", left), ("before", left - life)):
                series.append({"series": f"okms_kms_certificate_not_{edge}_timestamp_seconds{labels}",
                               "values": str(value)})
            samples.append({"labels": labels, "value": left})
        query = target["expr"].replace("$job", ".*").replace("$instance", ".*")
        looks.append({"expr": query, "eval_time": "0s", "exp_samples": samples})
    path = folder / "certificates.json"
    path.write_text(json.dumps({"tests": [{"input_series": series, "promql_expr_test": looks}]}))
    promtool("test", "rules", path)


def check_dashboard(sources: Sources) -> None:
    everything = sources.dashboard["panels"]
    if len({panel["id"] for panel in everything}) != len(everything):
        raise Failure("two panels have one id")
    taken: dict[tuple[int, int], str] = {}
    for panel in everything:
        at = panel["gridPos"]
        if at["x"] + at["w"] > 24:
            raise Failure(f"{panel['title']} is beyond the right edge")
        for place in ((x, y) for x in range(at["x"], at["x"] + at["w"])
                      for y in range(at["y"], at["y"] + at["h"])):
            if place in taken:
                raise Failure(f"{panel['title']} lies on {taken[place]}")
            taken[place] = panel["title"]
    rules = [{"record": f"panel:{number}", "expr": query.replace("$__rate_interval", "5m")}
             for number, query in enumerate(sources.queries())]
    with tempfile.TemporaryDirectory(prefix="okms-dashboard-") as folder:
        path = Path(folder) / "rules.json"  # JSON is YAML
        path.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
        promtool("check", "rules", path)
        check_certificates(sources, Path(folder))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True)
    checks = {"names": (check_names, []), "texts": (check_texts, []), "rules": (check_rules, ["promtool"]),
              "alerts": (check_alerts, ["promtool"]), "dashboard": (check_dashboard, ["promtool"])}
    parser.add_argument("check", choices=checks)
    arguments = parser.parse_args()

    check, programs = checks[arguments.check]
    missing = [program for program in programs if shutil.which(program) is None]
    missing += ["PyYAML"] if yaml is None else []
    if missing:
        required = os.environ.get("OKMS_REQUIRE_ALL") == "1"
        print(f"{'FAILED' if required else 'SKIPPED'}, missing: {', '.join(missing)}")
        return 1 if required else SKIPPED
    try:
        check(Sources(arguments.source))
    except Failure as failure:
        print(f"{arguments.check}: {failure}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
