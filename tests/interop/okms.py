# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""The OKMS mock, nginx before it, and curl to speak with both."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from processes import Process, free_port

_FRONT_TEMPLATE = Path(__file__).parent.parent / "integration" / "http_front.conf.in"
_REST_LINE = re.compile(r"^REST on \S+, OKMS id ([0-9a-f-]{36})$", re.M)


def nginx() -> str | None:
    """Debian has it outside a user's PATH."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


class OkmsMock:
    """okms-mock-kms with REST. It makes its certificates by itself, in `folder`/pki, unless they
    are there. A restart keeps the port, and a key that `keys` gives with its material; they may be
    changed before it."""

    def __init__(self, program: Path, folder: Path, keys: Sequence[str], *options: str) -> None:
        self.pki = folder / "pki"
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self._log = folder / "mock.log"
        self._argv = [str(program), "--pki", str(self.pki), "--rest-port", str(self.port), *options]
        self.keys = list(keys)
        self.process = Process("okms-mock-kms", self._log)

    def start(self) -> None:
        self.process.start([*self._argv, *(f"--key={key}" for key in self.keys)])
        self.okms_id = self.process.wait_until(self._announced, "REST address", 20)[0]

    @property
    def certificate_options(self) -> list[str]:
        return ["--cert", str(self.pki / "client.pem"), "--key", str(self.pki / "client.key")]

    def front(self, folder: Path, *, http2: bool = True) -> tuple[Process, str]:
        """nginx before this mock, and its URL."""
        front = Front(self, folder, http2=http2)
        front.start()
        return front.process, front.url

    def _announced(self) -> list[str]:
        """The OKMS id, in what the log says of the last start."""
        return _REST_LINE.findall(self._log.read_text().rpartition("\n--- ")[2])


class FrontRequest(NamedTuple):
    """One that reached nginx, for example HTTP/2.0, GET, /api/..."""

    version: str
    method: str
    target: str


class Front:
    """nginx before a mock that has its certificates; a restart keeps the port."""

    def __init__(self, mock: OkmsMock, folder: Path, *, http2: bool = True) -> None:
        folder.mkdir()
        self._port = free_port()
        self.url = f"https://127.0.0.1:{self._port}"
        text = _FRONT_TEMPLATE.read_text()
        for name, value in {
            "PORT": self._port, "UPSTREAM_PORT": mock.port, "HTTP2": " http2" if http2 else "",
            "CERTIFICATE": mock.pki / "server.pem", "KEY": mock.pki / "server.key",
            "CLIENT_CERTIFICATE": mock.pki / "client.pem", "CLIENT_KEY": mock.pki / "client.key",
            "CA": mock.pki / "ca.pem",
        }.items():
            text = text.replace(f"@{name}@", str(value))
        config = folder / "nginx.conf"
        config.write_text(text)
        self._argv = [str(nginx()), "-p", str(folder), "-c", str(config), "-e", "stderr"]
        self._requests = folder / "requests.log"
        self.process = Process("nginx", folder / "nginx.log", [self._requests])

    def start(self) -> None:
        self.process.start(self._argv)
        self.process.wait_until(self._accepts, "listening socket", 20)

    def requests(self) -> list[FrontRequest]:
        """What was asked for since the first start, in the order of the answers."""
        return [FrontRequest(*line.split()) for line in self._requests.read_text().splitlines()]

    def _accepts(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=5).close()
        except OSError:
            return False
        return True


@dataclass(frozen=True)
class HttpAnswer:
    http_version: str
    status: int
    content_type: str
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class CurlError(Exception):
    """curl has no answer to show; args: its exit status, and what it said."""


def curl(mock: OkmsMock, url: str, *options: str, certificate: bool = True,
         http: str = "--http2") -> HttpAnswer:
    """`http`: what curl offers; --http2 is HTTP/2 by ALPN, else HTTP/1.1."""
    argv = ["curl", "--silent", "--show-error", "--max-time", "30", "--noproxy", "*", http,
            "--cacert", str(mock.pki / "ca.pem"),
            *(mock.certificate_options if certificate else []),
            "--write-out", r"\n%{http_version} %{http_code} %{content_type}", *options, url]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode != 0:
        raise CurlError(done.returncode, done.stderr.decode())
    body, _, last = done.stdout.rpartition(b"\n")
    version, status, content_type = last.decode().split(" ", 2)
    return HttpAnswer(version, int(status), content_type, body)


def post(mock: OkmsMock, url: str, body: Any, **options: Any) -> HttpAnswer:
    text = body if isinstance(body, str) else json.dumps(body)
    return curl(mock, url, "--header", "Content-Type: application/json", "--data-raw", text,
                **options)
