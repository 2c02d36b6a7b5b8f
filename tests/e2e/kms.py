# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""The KMS of the story: PyKMIP over KMIP, or the OKMS mock behind nginx over REST."""

from __future__ import annotations

import os
import re
import uuid
from abc import ABC, abstractmethod
from collections.abc import Set
from pathlib import Path
from typing import ClassVar, NamedTuple

import runner
from okms import Front, OkmsMock, nginx
from peers import PyKmip
from pki import Pki
from runner import Programs

LABEL = "etcd"

# RFC 7516 section 7.1, with a header that begins with {".
_JWE = rb"eyJ[\w-]+(\.[\w-]*){4}"


class Request(NamedTuple):
    """One that reached the KMS, for example 1.4 or HTTP/2.0, Encrypt."""

    version: str
    operation: str


class Kms(ABC):
    """One active key under LABEL. A restart keeps address and key."""

    programs: ClassVar[tuple[str, ...]] = ()  # which of runner.Programs it needs
    user: ClassVar[str]  # whose certificate the plugin has
    version: ClassVar[str]  # the best that both sides have
    # All that may ever be asked of it: none of these answers with a key.
    harmless: ClassVar[Set[str]]

    address: str
    okms_id: str | None = None
    key_id: str

    @staticmethod
    @abstractmethod
    def missing() -> list[str]:
        """What this machine lacks."""

    @abstractmethod
    def __init__(self, folder: Path, pki: Pki) -> None:
        """`folder` exists, and `pki` is in its subfolder pki."""

    @abstractmethod
    def start(self) -> None:
        """Sets the address, and the key's id, at the latest."""

    @abstractmethod
    def stop(self) -> None:
        ...

    @abstractmethod
    def requests(self) -> list[Request]:
        """What it was asked for since it was first started, in order."""

    @abstractmethod
    def stored(self) -> list[bytes]:
        """Patterns of what kube-apiserver stores beside what it encrypted: the plugin's answer."""

    @abstractmethod
    def never_stored(self) -> list[bytes]:
        """Patterns of what belongs to the other protocol."""

    def decrypts(self) -> int:
        return sum(request.operation == "Decrypt" for request in self.requests())


class OverKmip(Kms):
    user = "alice"
    version = "1.4"
    # Create and Activate are the administrator's.
    harmless = {"Create", "Activate", "DiscoverVersions", "Locate", "GetAttributes", "Encrypt",
                "Decrypt"}

    @staticmethod
    def missing() -> list[str]:
        return runner.missing_pykmip()

    def __init__(self, folder: Path, pki: Pki) -> None:
        pki.add_client(self.user)
        self._server = PyKmip(folder / "kms", pki)
        self.address = self._server.address
        self.key_id = ""

    def start(self) -> None:
        self._server.start()
        self.key_id = self.key_id or self._server.active_key(LABEL)

    def stop(self) -> None:
        self._server.stop()

    def requests(self) -> list[Request]:
        return [Request(each.version, each.operation) for each in self._server.requests()]

    def stored(self) -> list[bytes]:
        return [self.key_id.encode(), rb"iv\.okms\.ovh\.com", rb"alg\.okms\.ovh\.com", b"AES_GCM"]

    def never_stored(self) -> list[bytes]:
        return [_JWE]


class OverRest(Kms):
    """When it is away, so are both: the mock and nginx."""

    programs = ("mock_kms",)
    user = "client"  # the mock's name for the certificate, which nginx has as well
    version = "HTTP/2.0"
    harmless = {"List", "Get", "Encrypt", "Decrypt"}

    @staticmethod
    def missing() -> list[str]:
        return [] if nginx() else ["nginx: apt-get install nginx-light"]

    def __init__(self, folder: Path, pki: Pki) -> None:
        pki.add_client(self.user)
        self.key_id = str(uuid.uuid4())
        self._mock = OkmsMock(Programs.mock_kms, folder, [
            f"id={self.key_id},name={LABEL},material={os.urandom(32).hex()}"])
        self._front = Front(self._mock, folder / "front")
        self.address = self._front.url

    def start(self) -> None:
        self._mock.start()
        self.okms_id = self._mock.okms_id
        self._front.start()

    def stop(self) -> None:
        self._front.process.stop()
        self._mock.process.stop()

    def requests(self) -> list[Request]:
        return [Request(each.version, self._operation(f"{each.method} {each.target}"))
                for each in self._front.requests()]

    def stored(self) -> list[bytes]:
        return [self.key_id.encode(), _JWE]

    def never_stored(self) -> list[bytes]:
        return [rb"okms\.ovh\.com"]

    def _operation(self, line: str) -> str:
        """`line` itself when it is none that the plugin should send."""
        keys = f"/api/{self.okms_id}/v1/servicekey"
        for operation, pattern in {
            "List": rf"GET {keys}(\?.*)?",
            "Get": f"GET {keys}/{self.key_id}",  # with ?format=, the answer could hold the key
            "Encrypt": f"POST {keys}/{self.key_id}/encrypt",
            "Decrypt": f"POST {keys}/{self.key_id}/decrypt",
        }.items():
            if re.fullmatch(pattern, line):
                return operation
        return line
