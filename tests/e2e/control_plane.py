# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""etcd and kube-apiserver on loopback, and the few requests the test makes of them."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
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

    def _range(self, **keys: bytes) -> dict[str, bytes]:
        body = {name: base64.b64encode(key).decode() for name, key in keys.items()}
        request = urllib.request.Request(f"{self.url}/v3/kv/range", data=json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=10) as response:
            found = json.load(response).get("kvs", [])
        return {base64.b64decode(each["key"]).decode(): base64.b64decode(each["value"])
                for each in found}

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as response:
                return bool(json.load(response)["health"] == "true")
        except (OSError, ValueError):
            return False


def key_id_of(stored: bytes, provider: str) -> str:
    """Under which key the KMS v2 provider has stored that: the keyID of its EncryptedObject, a
    protobuf message (k8s.io/apiserver, pkg/storage/value/encrypt/envelope/kmsv2/v2/api.proto)."""
    prefix = f"k8s:enc:kms:v2:{provider}:".encode()
    if not stored.startswith(prefix):
        raise ValueError(f"not encrypted by {provider}: {stored[:40]!r}")
    at = len(prefix)

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = stored[at]
            value |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80:
                return value

    while at < len(stored):
        field, kind = divmod(varint(), 8)
        number = varint()  # the value, or how long it is
        if kind == 2:
            if field == 2:
                return stored[at:at + number].decode()
            at += number
    raise ValueError(f"no keyID in {stored[:80]!r}")


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
    """kube-apiserver whose Secrets are encrypted by one KMS v2 provider and nothing else."""

    def __init__(self, program: Path, folder: Path, pki: Pki, etcd: Etcd, kms_socket: Path,
                 provider: str) -> None:
        folder.mkdir(parents=True)
        port = free_port()
        self._url = f"https://127.0.0.1:{port}"
        self._context = pki.client_context()
        (folder / "tokens.csv").write_text(f"{_TOKEN},admin,admin,system:masters\n")
        (folder / "encryption.json").write_text(json.dumps(_encryption(kms_socket, provider)))
        service_account_key = folder / "service-account.key"
        subprocess.run(["openssl", "genpkey", "-algorithm", "RSA",
                        "-out", str(service_account_key)], check=True, capture_output=True)
        self._argv = [
            str(program), "--etcd-servers", etcd.url,
            "--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1",
            "--secure-port", str(port),
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
            "--encryption-provider-config", str(folder / "encryption.json"),
        ]
        self.process = Process("kube-apiserver", folder / "apiserver.log")

    def start(self) -> None:
        """Returns at once: when it is ready is what the test is about."""
        self.process.start(self._argv)

    def stop(self) -> None:
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

    def rewrite_secrets(self) -> None:
        """As kubectl get secrets -A -o json | kubectl replace -f - does."""
        status, answer = self.request("GET", "/api/v1/secrets")
        if status != 200:
            raise RuntimeError(f"listing secrets: {status} {answer.decode()}")
        for secret in json.loads(answer)["items"]:
            self.rewrite_secret(secret["metadata"]["name"], secret["metadata"]["namespace"])

    def rewrite_secret(self, name: str, namespace: str = "default") -> None:
        path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
        status, answer = self.request("GET", path)
        if status == 200:
            status, answer = self.request("PUT", path, json.loads(answer))
        if status != 200:
            raise RuntimeError(f"rewriting secret {name}: {status} {answer.decode()}")

    def request(self, method: str, path: str, body: Any = None) -> Response:
        request = urllib.request.Request(
            self._url + path, method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {_TOKEN}", "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30, context=self._context) as response:
                return Response(response.status, response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Response(error.code, error.read())


def _encryption(kms_socket: Path, provider: str) -> dict[str, Any]:
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{
            "resources": ["secrets"],
            "providers": [{"kms": {
                "apiVersion": "v2",  # the default is v1
                "name": provider,
                "endpoint": f"unix://{kms_socket}",
                "timeout": "3s",
            }}],
        }],
    }
