# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""etcd and kube-apiserver on loopback, and the few requests the test makes of them."""

from __future__ import annotations

import base64
import http.client
import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pki import Pki
from processes import Process, free_port

_TOKEN = "admin"
_KMS_CHECK = "kms-providers"
# Checks that wait for the apiserver's caches, which cannot list Secrets it cannot decrypt.
_CACHE_CHECKS = frozenset({"informer-sync", "poststarthook/storage-readiness"})


@contextmanager
def stage(name: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    print(f"\n  {name} after {time.monotonic() - started:.1f} s", file=sys.stderr, end=" ")


class Etcd:
    """A single member. Its JSON gateway shows the bytes that are really stored."""

    def __init__(self, program: Path, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.url = f"http://127.0.0.1:{free_port()}"
        peer_url = f"http://127.0.0.1:{free_port()}"
        self._argv = [
            str(program), "--data-dir", str(folder / "data"),
            "--listen-client-urls", self.url, "--advertise-client-urls", self.url,
            "--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url,
            "--initial-cluster", f"default={peer_url}",
        ]
        self.process = Process("etcd", folder / "etcd.log")

    def start(self) -> None:
        self.process.start(self._argv)
        self.process.wait_until(self._healthy, "health", 30)

    def stop(self) -> None:
        self.process.stop()

    def stored(self, key: str) -> bytes:
        found = self._range(key=key.encode())
        if len(found) != 1:
            raise KeyError(f"{len(found)} values in etcd under {key}")
        return found[key]

    def stored_below(self, folder: str) -> dict[str, bytes]:
        """Everything whose key begins with `folder`, which ends in a slash."""
        start = folder.encode()
        return self._range(key=start, range_end=start[:-1] + bytes([start[-1] + 1]))

    def store(self, key: str, value: bytes) -> None:
        self._ask("put", key=key.encode(), value=value)

    def delete(self, key: str) -> None:
        self._ask("deleterange", key=key.encode())

    def _range(self, **keys: bytes) -> dict[str, bytes]:
        return {base64.b64decode(each["key"]).decode(): base64.b64decode(each["value"])
                for each in self._ask("range", **keys).get("kvs", [])}

    def _ask(self, what: str, **fields: bytes) -> Any:
        body = {name: base64.b64encode(value).decode() for name, value in fields.items()}
        request = urllib.request.Request(f"{self.url}/v3/kv/{what}", data=json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as response:
                return bool(json.load(response)["health"] == "true")
        except (OSError, ValueError):
            return False


class Response(NamedTuple):
    status: int
    body: bytes


class Readiness(NamedTuple):
    """/readyz in full: whether it is ok and which checks fail."""

    ok: bool
    failing: frozenset[str]

    @property
    def only_the_kms_is_missing(self) -> bool:
        return _KMS_CHECK in self.failing and self.failing <= {_KMS_CHECK} | _CACHE_CHECKS


class ApiServer:
    """kube-apiserver with an EncryptionConfiguration."""

    def __init__(self, program: Path, folder: Path, pki: Pki, etcd: Etcd,
                 encryption: dict[str, Any], *flags: str) -> None:
        folder.mkdir(parents=True)
        self._port = free_port()
        self._connections: dict[int, tuple[http.client.HTTPSConnection, float]] = {}
        self._context = pki.client_context()
        (folder / "tokens.csv").write_text(f"{_TOKEN},admin,admin,system:masters\n")
        self._encryption = folder / "encryption.json"
        self.configure(encryption)
        service_account_key = folder / "service-account.key"
        subprocess.run(["openssl", "genpkey", "-algorithm", "RSA",
                        "-out", str(service_account_key)], check=True, capture_output=True)
        self._argv = [
            str(program), "--etcd-servers", etcd.url,
            "--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1",
            "--secure-port", str(self._port),
            "--tls-cert-file", str(pki.certificate("server")),
            "--tls-private-key-file", str(pki.key("server")),
            "--token-auth-file", str(folder / "tokens.csv"), "--authorization-mode", "RBAC",
            "--service-account-issuer", "https://localhost",
            "--service-account-key-file", str(service_account_key),
            "--service-account-signing-key-file", str(service_account_key),
            "--service-cluster-ip-range", "10.0.0.0/24",
            # There is no controller manager that would make service accounts, and from 1.37 on
            # the reconciler refuses to advertise a loopback address.
            "--disable-admission-plugins", "ServiceAccount", "--endpoint-reconciler-type", "none",
            "--encryption-provider-config", str(self._encryption), *flags,
        ]
        self.process = Process("kube-apiserver", folder / "apiserver.log")

    def configure(self, encryption: dict[str, Any]) -> None:
        """Of one piece, as whoever reads it again while it is replaced must find it."""
        new = self._encryption.with_suffix(".new")
        new.write_text(json.dumps(encryption))
        new.rename(self._encryption)

    def start(self) -> None:
        """Returns at once: when it is ready is what the test is about."""
        self.process.start(self._argv)

    def stop(self) -> None:
        for connection, _ in self._connections.values():
            connection.close()
        self._connections.clear()
        self.process.stop()

    def readiness(self) -> Readiness | None:
        """None while nothing answers."""
        try:
            status, body = self.request("GET", "/readyz?verbose")
        except OSError:
            return None
        failing = {line[3:].split()[0] for line in body.decode().splitlines()
                   if line.startswith("[-]")}
        return Readiness(status == 200, frozenset(failing))

    def wait_ready(self, seconds: float) -> None:
        """/readyz is ok and there is a namespace to write to."""
        def ready(readiness: Readiness | None) -> bool:
            return (readiness is not None and readiness.ok
                    and self.request("GET", "/api/v1/namespaces/default").status == 200)

        self._wait(ready, "readiness", seconds)

    def wait_for_the_kms_to_be_missed(self, seconds: float) -> None:
        """Everything is ready but the KMS provider. Fails when the apiserver is ready without."""
        def missed(readiness: Readiness | None) -> bool:
            if readiness is not None and readiness.ok:
                raise AssertionError("kube-apiserver is ready although the KMS is away")
            return readiness is not None and readiness.only_the_kms_is_missing

        self._wait(missed, "state in which nothing but the KMS is missing", seconds)

    def wait_until_it_misses_the_kms(self, seconds: float) -> None:
        """For up to 20 seconds it believes the last answer, that all was well."""
        self._wait(lambda readiness: readiness is not None and readiness.only_the_kms_is_missing,
                   "state in which nothing but the KMS is missing", seconds)

    def wait_until_it_misses_its_secrets(self, seconds: float) -> None:
        """The KMS is there, but does not decrypt them."""
        self._wait(lambda readiness: readiness is not None and readiness.failing == _CACHE_CHECKS,
                   "state in which nothing but caches is missing", seconds)

    def _wait(self, condition: Callable[[Readiness | None], bool], what: str,
              seconds: float) -> None:
        last: Readiness | None = None

        def holds() -> bool:
            nonlocal last
            last = self.readiness()
            return condition(last)

        try:
            self.process.wait_until(holds, what, seconds)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; last seen: {last}") from None

    def write(self, kind: str, name: str, **content: dict[str, str]) -> None:
        body = {"apiVersion": "v1", "metadata": {"name": name}, **content}
        status, answer = self.request("POST", f"/api/v1/namespaces/default/{kind}", body)
        if status != 201:
            raise RuntimeError(f"writing {kind} {name}: {status} {answer.decode()}")

    def write_secret(self, name: str, value: bytes) -> None:
        self.write("secrets", name, data={"value": base64.b64encode(value).decode()})

    def read_secret(self, name: str) -> bytes:
        status, answer = self.request("GET", f"/api/v1/namespaces/default/secrets/{name}")
        if status != 200:
            raise RuntimeError(f"reading secret {name}: {status} {answer.decode()}")
        return base64.b64decode(json.loads(answer)["data"]["value"])

    def metric(self, name: str, *labels: str) -> float:
        """The sum of those that have all of `labels`, as they are written: status="success"."""
        answer = self.request("GET", "/metrics")
        if answer.status != 200:
            raise RuntimeError(f"/metrics: {answer.status} {answer.body.decode()}")
        return sum(float(line.rpartition(" ")[2]) for line in answer.body.decode().splitlines()
                   if line.startswith((f"{name}{{", f"{name} ")) and all(l in line for l in labels))

    def request(self, method: str, path: str, body: Any = None, *,
                content: str = "application/json") -> Response:
        connection = self._connection()
        try:
            connection.request(method, path, None if body is None else json.dumps(body),
                               {"Authorization": f"Bearer {_TOKEN}", "Content-Type": content})
            with connection.getresponse() as response:
                return Response(response.status, response.read())
        except http.client.HTTPException as error:
            connection.close()
            raise ConnectionError(f"{method} {path}: {error!r}") from None
        except BaseException:
            connection.close()
            raise

    def _connection(self) -> http.client.HTTPSConnection:
        """Each thread has its own, and keeps it: handshakes are most of what a request costs."""
        now = time.monotonic()
        thread = threading.get_ident()
        connection, used = self._connections.get(thread) or (http.client.HTTPSConnection(
            "127.0.0.1", self._port, timeout=30, context=self._context), now)
        if now - used > 30:
            connection.close()  # before the other side does; it is opened again by itself
        self._connections[thread] = connection, now
        return connection


def encryption(resources: Sequence[str], *providers: dict[str, Any]) -> dict[str, Any]:
    """The first of `providers` writes; all of them read."""
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": list(resources), "providers": list(providers)}],
    }


IDENTITY: dict[str, Any] = {"identity": {}}  # in clear


def kms_provider(name: str, socket: Path) -> dict[str, Any]:
    return {"kms": {
        "apiVersion": "v2",  # the default is v1
        "name": name,
        "endpoint": f"unix://{socket}",
        "timeout": "3s",
    }}
