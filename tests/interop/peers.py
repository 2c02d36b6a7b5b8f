# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""The two ends of a test: PyKMIP as the KMS, and the plugin under test."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from kmip_client import KmipClient
from pki import Pki
from processes import Process, free_port

# PyKMIP numbers its objects 1, 2, 3 ... A reason that must name a key could pass by counting.
_FIRST_ID = 7001
_LAUNCHER = Path(__file__).with_name("pykmip_server.py")


class Request(NamedTuple):
    """One operation that reached the server, for example 1.4, Encrypt, alice."""

    version: str
    operation: str
    user: str


class PyKmip:
    """A PyKMIP server; a restart keeps port and database."""

    def __init__(self, folder: Path, pki: Pki, *, tls13: bool = False, embed_tag: bool = False,
                 max_version: tuple[int, int] = (1, 4)) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "policy").mkdir(exist_ok=True)
        self.port = free_port()
        self.max_version = max_version
        self._pki, self._folder = pki, folder
        self._record, self._database = folder / "operations", folder / "keys.db"
        self._record.touch()
        log = folder / "pykmip.log"
        self._argv = [sys.executable, str(_LAUNCHER), "--config", str(self._write_config()),
                      "--log", str(log), "--record", str(self._record)]
        if max_version < (1, 4):
            self._argv += ["--max-version", "{}.{}".format(*max_version)]
        self._argv += ["--tls13"] if tls13 else []
        self._argv += ["--embed-tag"] if embed_tag else []
        self.process = Process("PyKMIP", folder / "pykmip.out", [log])

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        first_time = not self._database.exists()
        self.process.start(self._argv)
        self.process.wait_until(lambda: self.tls_version() is not None, "TLS handshake", 30)
        if first_time:
            with closing(sqlite3.connect(self._database)) as database, database:
                database.execute("INSERT INTO sqlite_sequence VALUES ('managed_objects', ?)",
                                 (_FIRST_ID - 1,))

    def stop(self) -> None:
        self.process.stop(signal.SIGINT)

    def tls_version(self) -> str | None:
        """The TLS version of a new connection; None when there is no server."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as plain, \
                    self._pki.client_context("alice").wrap_socket(
                        plain, server_hostname="localhost") as connection:
                return connection.version()
        except (ssl.SSLError, OSError):
            return None

    def client(self, user: str = "alice") -> KmipClient:
        return KmipClient(self.port, self._pki.client_context(user), self.max_version)

    def active_key(self, name: str) -> str:
        """The id of a new Active AES-256 key of user alice."""
        client = self.client()
        key_id = client.create(name)
        client.activate(key_id)
        return key_id

    def requests(self) -> list[Request]:
        """What the server was asked for since it was first started, in order."""
        return [Request(*line.split()) for line in self._record.read_text().splitlines()]

    def _write_config(self) -> Path:
        settings = {
            "hostname": "127.0.0.1",
            "port": self.port,
            "certificate_path": self._pki.certificate("server"),
            "key_path": self._pki.key("server"),
            "ca_path": self._pki.authority,
            "auth_suite": "TLS1.2",
            "policy_path": self._folder / "policy",
            "enable_tls_client_auth": True,
            "logging_level": "INFO",
            "database_path": self._database,
        }
        config = self._folder / "server.conf"
        lines = [f"{key}={value}" for key, value in settings.items()]
        config.write_text("\n".join(["[server]", *lines, ""]))
        return config


@dataclass(frozen=True)
class Answer:
    """What okms-kms-call printed: a result, or the code and the reason of a gRPC error."""

    body: dict[str, Any]

    @property
    def ok(self) -> bool:
        return "error" not in self.body

    @property
    def code(self) -> str:
        return "OK" if self.ok else self.body["error"]["code"]

    @property
    def reason(self) -> str:
        return "" if self.ok else self.body["error"]["message"]


class Plugin:
    """The plugin with one KMS and one key, and the calls kube-apiserver makes. With `okms_id` it
    speaks REST, and the address is a URL."""

    def __init__(self, program: Path, kms_call: Path, folder: Path, pki: Pki, kms_address: str, *,
                 key_id: str | None = None, label: str | None = None,
                 key_id_file: Path | None = None, user: str = "alice",
                 okms_id: str | None = None, flags: tuple[str, ...] = ()) -> None:
        names = {"--encryption-key-id": key_id, "--encryption-key-label": label,
                 "--encryption-key-id-file": key_id_file}
        key = [str(part) for name in names.items() if name[1] for part in name]
        if len(key) != 2:
            raise ValueError("a key id, a label, or a file: one of them")
        folder.mkdir(parents=True, exist_ok=True)
        self.socket = folder / "kms.sock"
        self._kms_call = kms_call
        protocol = ["rest", "--okms-id", okms_id] if okms_id else ["kmip"]
        self.flags = ["--protocol", *protocol, "--serv-addr", kms_address, *key,
                      "--client-cert", str(pki.certificate(user)),
                      "--client-key", str(pki.key(user)), "--ca", str(pki.authority),
                      "--sock", str(self.socket), "--timeout", "10s", *flags]
        self._argv = [str(program), *self.flags]
        self.process = Process("plugin", folder / "plugin.log")

    def start(self) -> None:
        """Returns when the socket accepts, which must not depend on the KMS."""
        self.process.start(self._argv)
        self.process.wait_until(self._accepts, "listening socket", 10)

    def stop(self) -> int | None:
        return self.process.stop(signal.SIGTERM)

    def status(self) -> Answer:
        return self._call("status")

    def encrypt(self, plaintext: bytes) -> Answer:
        return self._call("encrypt", plaintext.hex())

    def decrypt(self, record: dict[str, Any]) -> Answer:
        """`record` has the shape of an Encrypt answer."""
        return self._call("decrypt", stdin=json.dumps(record))

    def ready(self, seconds: float = 30) -> Answer:
        def good() -> Answer | None:
            self._last = self.status()
            return self._last if self._last.ok else None

        try:
            return self.process.wait_until(good, "status ok", seconds)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; last status: {self._last.body}") from None

    def _accepts(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.socket))
            except OSError:
                return False
            return True

    def _call(self, *arguments: str, stdin: str = "") -> Answer:
        # Its own limit is kube-apiserver's: three seconds.
        argv = [str(self._kms_call), "--sock", str(self.socket), *arguments]
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=30,
                              check=False)
        try:
            answer = Answer(json.loads(done.stdout))
        except ValueError:
            raise RuntimeError(f"{' '.join(argv)} ended with {done.returncode} and no JSON: "
                               f"{done.stdout!r} {done.stderr!r}") from None
        if done.returncode != (0 if answer.ok else 1):
            raise RuntimeError(f"{' '.join(argv)}: status {done.returncode} with {answer.body}")
        return answer
