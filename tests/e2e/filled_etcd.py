# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""An etcd that a test fills by itself, by its JSON gateway."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pki import Pki
from processes import Process, free_port

_PAGE = 4000  # puts in one request
_PATIENCE = 30.0


def _text(value: bytes | str) -> str:
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


class FilledEtcd:
    """A single member, which loses what it has when the machine dies."""

    def __init__(self, program: Path, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._program, self._folder = program, folder
        self.port = free_port()
        self._metrics = f"http://127.0.0.1:{free_port()}"
        self.process = Process("etcd", folder / "etcd.log")

    def start(self, pki: Pki | None = None) -> None:
        """`pki`: with TLS, for who has a certificate of it. The gateway is not served then."""
        url = f"{'https' if pki else 'http'}://127.0.0.1:{self.port}"
        tls = [] if pki is None else [
            "--cert-file", str(pki.certificate("server")), "--key-file", str(pki.key("server")),
            "--trusted-ca-file", str(pki.authority), "--client-cert-auth",
            "--enable-grpc-gateway=false"]
        self.process.start([
            str(self._program), "--data-dir", str(self._folder / "data"),
            "--listen-client-urls", url, "--advertise-client-urls", url,
            "--listen-peer-urls", "http://127.0.0.1:0", "--listen-metrics-urls", self._metrics,
            "--max-txn-ops", str(_PAGE), "--unsafe-no-fsync", "--log-level", "warn", *tls])
        self.process.wait_until(self._healthy, "health", _PATIENCE)

    def stop(self) -> None:
        self.process.stop()

    def put(self, values: Iterable[tuple[str, bytes]]) -> int:
        """The revision of the last of them. Those of one page have the same."""
        revision, page = 0, []
        for key, value in values:
            page.append({"requestPut": {"key": _text(key), "value": _text(value)}})
            if len(page) == _PAGE:
                revision, page = self._txn(page), []
        return self._txn(page) if page else revision

    def delete(self, key: str) -> int:
        return int(self.call("kv/deleterange", key=_text(key))["header"]["revision"])

    def compact(self, revision: int) -> None:
        self.call("kv/compaction", revision=revision)

    def add_user(self, name: str, prefix: str) -> None:
        """One with a certificate, who may read that and no more; nothing: nothing at all."""
        self.call("auth/user/add", name=name, options={"no_password": True})
        if not prefix:
            return
        self.call("auth/role/add", name=name)
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        self.call("auth/role/grant", name=name,
                  perm={"permType": "READ", "key": _text(prefix), "range_end": _text(end)})
        self.call("auth/user/grant", user=name, role=name)

    def call(self, path: str, **body: Any) -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/v3/{path}",
                                         data=json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=_PATIENCE) as response:
            return json.load(response)

    def _txn(self, puts: list[dict[str, Any]]) -> int:
        return int(self.call("kv/txn", success=puts)["header"]["revision"])

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._metrics}/health", timeout=5) as response:
                return bool(json.load(response)["health"] == "true")
        except (OSError, ValueError):
            return False
