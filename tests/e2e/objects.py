# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""Objects of Kubernetes that are encrypted, each with one value, and who goes on writing them."""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from control_plane import ApiServer

_CREATED, _OK, _CONFLICT = 201, 200, 409
_GROUP = "example.test"


@dataclass(frozen=True)
class Kind:
    """All of them are in the namespace default."""

    kind: str
    plural: str
    field: str  # that holds the value
    group: str = ""  # none for those of Kubernetes itself

    @property
    def resource(self) -> str:
        """As an EncryptionConfiguration names it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def folder(self) -> str:
        """Where etcd has them."""
        return "/".join(filter(None, ["/registry", self.group, self.plural, "default/"]))

    def create(self, api: ApiServer, name: str, value: bytes) -> None:
        body = {"apiVersion": f"{self.group}/v1" if self.group else "v1", "kind": self.kind,
                "metadata": {"name": name}, **self.content(value)}
        self._expect(_CREATED, *api.request("POST", self._path(), body), f"creating {name}")

    def change(self, api: ApiServer, name: str, value: bytes) -> None:
        answer = api.request("PATCH", self._path(name), self.content(value),
                             content="application/merge-patch+json")
        self._expect(_OK, *answer, f"changing {name}")

    def read(self, api: ApiServer, name: str) -> bytes:
        answer = api.request("GET", self._path(name))
        return self._value(self._expect(_OK, *answer, f"reading {name}"))

    def read_all(self, api: ApiServer) -> dict[str, bytes]:
        items = self._expect(_OK, *api.request("GET", self._path()), "listing")["items"]
        return {item["metadata"]["name"]: self._value(item) for item in items}

    def rewrite(self, api: ApiServer, name: str, namespace: str = "default") -> None:
        """Whoever changes it meanwhile has the last word."""
        path = self._path(name, namespace)
        status = _CONFLICT
        while status == _CONFLICT:
            found = self._expect(_OK, *api.request("GET", path), f"reading {name}")
            status, answer = api.request("PUT", path, found)
        self._expect(_OK, status, answer, f"rewriting {name}")

    def rewrite_all(self, api: ApiServer) -> None:
        """As kubectl get -A -o json | kubectl replace -f - does."""
        answer = api.request("GET", f"{self._root}/{self.plural}")
        for item in self._expect(_OK, *answer, "listing")["items"]:
            self.rewrite(api, item["metadata"]["name"], item["metadata"]["namespace"])

    @property
    def _root(self) -> str:
        return f"/apis/{self.group}/v1" if self.group else "/api/v1"

    def _path(self, name: str = "", namespace: str = "default") -> str:
        return f"{self._root}/namespaces/{namespace}/{self.plural}" + (f"/{name}" if name else "")

    def content(self, value: bytes) -> dict[str, dict[str, str]]:
        """The part of the object that holds it."""
        text = (base64.b64encode(value) if self.kind == "Secret" else value).decode()
        return {self.field: {"value": text}}

    def _value(self, body: Any) -> bytes:
        value: str = body[self.field]["value"]
        return base64.b64decode(value) if self.kind == "Secret" else value.encode()

    def _expect(self, wanted: int, status: int, answer: bytes, what: str) -> Any:
        if status != wanted:
            raise RuntimeError(f"{what} of {self.resource}: {status} {answer.decode()}")
        return json.loads(answer)


SECRETS = Kind("Secret", "secrets", "data")
CONFIG_MAPS = Kind("ConfigMap", "configmaps", "data")
WIDGETS = Kind("Widget", "widgets", "spec", _GROUP)
KINDS = (SECRETS, CONFIG_MAPS, WIDGETS)


def define_widgets(api: ApiServer) -> None:
    """Returns when they are served."""
    value = {"type": "object", "properties": {"value": {"type": "string"}}}
    answer = api.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
        "metadata": {"name": WIDGETS.resource},
        "spec": {
            "group": _GROUP, "scope": "Namespaced",
            "names": {"kind": WIDGETS.kind, "plural": WIDGETS.plural},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {
                "openAPIV3Schema": {"type": "object", "properties": {WIDGETS.field: value}}}}],
        },
    })
    if answer.status != _CREATED:
        raise RuntimeError(f"defining widgets: {answer.status} {answer.body.decode()}")
    wait_for_widgets(api)


def wait_for_widgets(api: ApiServer) -> None:
    def served() -> bool:
        return api.request("GET", f"/apis/{_GROUP}/v1/namespaces/default/widgets").status == _OK

    api.process.wait_until(served, "answer about widgets", 30)


def new_value() -> bytes:
    return os.urandom(24).hex().encode()


class Writer(threading.Thread):
    """Makes objects of all kinds, and changes the first of each again and again, until it is told to
    stop. `expected` has what was acknowledged, by kind and name; `refused` what was not, and `lost`
    what was and yet was not there afterwards."""

    PAUSE = 0.2  # others want the two cores as well

    def __init__(self, api: ApiServer, prefix: str, kinds: Sequence[Kind] = KINDS) -> None:
        super().__init__(daemon=True)
        self.expected: dict[tuple[Kind, str], bytes] = {}
        self.refused: list[str] = []
        self.lost: list[str] = []
        self._api, self._prefix, self._kinds = api, prefix, kinds
        self._enough = threading.Event()

    def __enter__(self) -> Writer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self.join()

    def run(self) -> None:
        number = 0
        while not self._enough.wait(self.PAUSE):
            which = number % len(self._kinds)
            kind = self._kinds[which]
            try:
                self._write(kind.create, kind, f"{self._prefix}-{number}")
                self._change(kind, f"{self._prefix}-{which}")
            except (OSError, RuntimeError) as error:
                self.refused.append(str(error))
            number += 1

    def _change(self, kind: Kind, name: str) -> None:
        if kind.read(self._api, name) != self.expected[kind, name]:
            self.lost.append(f"{kind.resource} {name}")
        self._write(kind.change, kind, name)

    def _write(self, how: Callable[[ApiServer, str, bytes], None], kind: Kind, name: str) -> None:
        value = new_value()
        how(self._api, name, value)
        self.expected[kind, name] = value
