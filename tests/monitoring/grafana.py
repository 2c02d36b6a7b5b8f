# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""What Grafana makes of a dashboard before it draws: variables, queries, and the answers of Prometheus."""

from __future__ import annotations

import json
import math
import re
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

_VARIABLE = re.compile(r"\$\{(\w+)\}|\$([A-Za-z_]\w*)")  # no $1, which is label_replace's
_LABEL = re.compile(r"\{\{\s*(\w+)\s*\}\}")

Json = dict[str, Any]
Ask = Callable[[str, Mapping[str, str]], Sequence[Json]]


class Span(NamedTuple):
    """Of time, in seconds: what is shown, and how often Prometheus looks."""

    begin: float
    end: float
    scrape: float

    def step(self, points: int) -> float:
        """$__interval: of as many points as the panel has pixels, but none between two looks."""
        return max(math.ceil((self.end - self.begin) / points), self.scrape)

    def rate_interval(self, points: int) -> float:
        return max(self.step(points) + self.scrape, 4 * self.scrape)


class Series(NamedTuple):
    query: str  # its refId
    name: str  # by legendFormat
    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]  # time, value; one of an instant query


def prometheus(address: str) -> Ask:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is on loopback

    def ask(path: str, parameters: Mapping[str, str]) -> Sequence[Json]:
        url = f"http://{address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with direct.open(url, timeout=30) as answer:
            result: Sequence[Json] = json.load(answer)["data"]["result"]
        return result

    return ask


def variables(dashboard: Json) -> dict[str, str]:
    """The dashboard's own, as they are when it is opened: all of everything."""
    values = {}
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            if variable["current"]["value"] != ["$__all"]:
                raise ValueError(f"the variable {variable['name']} begins with a choice")
            values[variable["name"]] = variable["allValue"]
    return values


def substitute(text: str, values: Mapping[str, str]) -> str:
    """KeyError for a variable that nobody has."""
    return _VARIABLE.sub(lambda match: values[match[1] or match[2]], text)


def legend(template: str, labels: Mapping[str, str]) -> str:
    return _LABEL.sub(lambda match: labels.get(match[1], ""), template).strip()


def series(panel: Json, values: Mapping[str, str], span: Span, points: int, ask: Ask) -> list[Series]:
    """`points`: the panel's width in pixels."""
    found = []
    step = span.step(points)
    values = {**values, "__interval": f"{step:g}s",
              "__rate_interval": f"{span.rate_interval(points):g}s"}
    for target in panel["targets"]:
        parameters = {"query": substitute(target["expr"], values)}
        if target.get("instant"):
            results = ask("query", {**parameters, "time": f"{span.end:.3f}"})
        else:
            begin = span.begin - span.begin % step
            results = ask("query_range", {**parameters, "start": f"{begin:.3f}",
                                          "end": f"{span.end:.3f}", "step": f"{step:g}"})
        for one in results:
            samples = one["values"] if "values" in one else [one["value"]]
            pairs = [(float(when), float(value)) for when, value in samples]
            found.append(Series(target["refId"], legend(target.get("legendFormat", ""), one["metric"]),
                                one["metric"], [pair for pair in pairs if math.isfinite(pair[1])]))
    return found


def silent(panel: Json, found: Sequence[Series]) -> set[str]:
    """The queries of the panel that gave no number at all."""
    return {target["refId"] for target in panel["targets"]} - {one.query for one in found if one.points}


def table(panel: Json, found: Sequence[Series]) -> list[list[str]]:
    """Head and rows, after the only transformation that is used here."""
    hidden: set[str] = set()
    heads: Json = {}
    for transformation in panel.get("transformations", []):
        if transformation["id"] != "organize":
            raise ValueError(f"{panel['title']}: transformation {transformation['id']}")
        options = transformation["options"]
        if options["indexByName"]:
            raise ValueError(f"{panel['title']}: indexByName is not known here")
        heads = options["renameByName"]
        hidden = {name for name, is_hidden in options["excludeByName"].items() if is_hidden}
    names = sorted({name for one in found for name in one.labels} - hidden)
    return [[heads.get(name, name) for name in names], *([one.labels.get(name, "") for name in names] for one in found)]


def override(panel: Json, one: Series, what: str) -> Any:
    """What the panel says of this series, or column, alone; the last word counts."""
    said = None
    for each in panel["fieldConfig"]["overrides"]:
        kind, options = each["matcher"]["id"], each["matcher"]["options"]
        if kind == "byFrameRefID":
            applies = options == one.query
        elif kind == "byName":
            applies = options == one.name
        elif kind == "byRegexp":  # /as in JavaScript/
            applies = re.search(options.removeprefix("/").removesuffix("/"), one.name) is not None
        else:
            raise ValueError(f"{panel['title']}: matcher {kind}")
        if applies:
            said = next((change["value"] for change in each["properties"] if change["id"] == what), said)
    return said


def fixed_colour(panel: Json, one: Series) -> str | None:
    said = override(panel, one, "color")
    return str(said["fixedColor"]) if said else None


def colour(panel: Json, one: Series, value: float) -> str | None:
    """Of overrides, mappings and thresholds the first that says something."""
    steps = panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])
    reached = [step["color"] for step in steps if step["value"] is None or step["value"] <= value]
    return (fixed_colour(panel, one) or mapping(panel, value).get("color")
            or (reached[-1] if reached else None))


def mapping(panel: Json, value: float) -> Json:
    for each in panel["fieldConfig"]["defaults"].get("mappings", []):
        result: Json = each["options"].get(f"{value:g}", {})
        if result:
            return result
    return {}


_SCALES = {
    "s": ((31536000, " years"), (604800, " weeks"), (86400, " days"), (3600, " hours"), (60, " mins"),
          (1, " s"), (1e-3, " ms"), (1e-6, " µs"), (1e-9, " ns")),
    "short": ((1e9, " Bil"), (1e6, " Mil"), (1e3, " K"), (1, "")),
    "percentunit": ((0.01, "%"),),
    "reqps": ((1e3, "K req/s"), (1, " req/s")),
    "cps": ((1e3, "K c/s"), (1, " c/s")),
    "ops": ((1e3, "K ops/s"), (1, " ops/s")),
}


def number(value: float, unit: str, decimals: int | None = None) -> str:
    scales = _SCALES[unit]
    size, name = next((scale for scale in scales if abs(value) >= scale[0]), scales[-1])
    if value == 0:
        size, name = 1, {"s": " s", "percentunit": "%"}.get(unit, scales[-1][1])
    scaled = value / size
    text = f"{scaled:.3g}" if decimals is None else f"{scaled:.{decimals}f}"
    return f"{float(text):g}{name}" if abs(scaled) < 1e6 else f"{scaled:.0f}{name}"


def text_of(panel: Json, value: float) -> str:
    defaults = panel["fieldConfig"]["defaults"]
    mapped = mapping(panel, value).get("text")
    return str(mapped) if mapped else number(value, defaults["unit"], defaults.get("decimals"))
