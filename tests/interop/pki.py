# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""Certificates for one test run, made with the openssl command."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
_SERVER = "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n"
_CLIENT = "extendedKeyUsage=clientAuth\n"


class Pki:
    """A certificate authority, one server certificate for loopback, one certificate per user.

    The keys are on P-256: PyKMIP's list for TLS 1.2 has AEAD suites for ECDSA only.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        _openssl("req", "-x509", *_NEW_KEY, "-keyout", self.key("ca"), "-out", self.authority,
                 "-subj", "/CN=interop test authority", "-days", "2",
                 "-addext", "basicConstraints=critical,CA:TRUE",
                 "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self._issue("server", "localhost", _SERVER)

    @property
    def authority(self) -> Path:
        return self.certificate("ca")

    def certificate(self, name: str) -> Path:
        return self._folder / f"{name}.pem"

    def key(self, name: str) -> Path:
        return self._folder / f"{name}.key"

    def add_client(self, name: str) -> None:
        """A client certificate whose CN, which PyKMIP takes for the user, is `name`."""
        self._issue(name, name, _CLIENT)

    def client_context(self, name: str | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.authority))
        if name is not None:
            context.load_cert_chain(self.certificate(name), self.key(name))
        return context

    def _issue(self, name: str, common_name: str, extensions: str) -> None:
        request, extension_file = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        extension_file.write_text(extensions)
        _openssl("req", *_NEW_KEY, "-keyout", self.key(name), "-out", request,
                 "-subj", f"/CN={common_name}")
        _openssl("x509", "-req", "-in", request, "-CA", self.authority, "-CAkey", self.key("ca"),
                 "-CAcreateserial", "-days", "2", "-extfile", extension_file,
                 "-out", self.certificate(name))


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {arguments[0]} failed:\n{done.stderr}")
