# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""Runs PyKMIP's server as a peer for the tests, with the variations other servers have.

PyKMIP itself stays as installed. Each option below changes one thing from the outside; without
options the server answers as its authors wrote it, except that it stops at once (see `Server`).
Stop it with SIGINT: on SIGTERM its accept loop lasts up to ten seconds more.
"""

from __future__ import annotations

import argparse
import ssl
import sys
import warnings

warnings.simplefilter("ignore")  # deprecations inside PyKMIP, one page of them at every start

if not hasattr(ssl, "PROTOCOL_TLSv1"):
    ssl.PROTOCOL_TLSv1 = None  # named by PyKMIP's old authentication suite, which nobody uses here

# pylint: disable=wrong-import-position,protected-access
from kmip.core import enums  # noqa: E402
from kmip.core.messages import payloads  # noqa: E402
from kmip.core.messages.contents import ProtocolVersion  # noqa: E402
from kmip.services.server import engine, server  # noqa: E402

Engine = engine.KmipEngine


class Server(server.KmipServer):
    """PyKMIP waits ten seconds for each open connection when it stops; a plugin keeps some open."""

    def stop(self) -> None:
        self._socket.close()
        self.policy_monitor.stop()
        self.policy_monitor.join()
        self.manager.shutdown()


def use_tls(version: ssl.TLSVersion) -> None:
    """PyKMIP calls ssl.wrap_socket, which knows nothing of TLS 1.3 and is gone in Python 3.12."""

    def wrap_socket(sock, keyfile=None, certfile=None, ca_certs=None, server_side=True,
                    do_handshake_on_connect=False, suppress_ragged_eofs=True, **_):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = context.maximum_version = version
        context.load_cert_chain(certfile, keyfile)
        context.load_verify_locations(ca_certs)
        context.verify_mode = ssl.CERT_REQUIRED
        return context.wrap_socket(sock, server_side=server_side,
                                   do_handshake_on_connect=do_handshake_on_connect,
                                   suppress_ragged_eofs=suppress_ragged_eofs)

    ssl.wrap_socket = wrap_socket


def limit_versions(highest: ProtocolVersion) -> None:
    """Neither Discover Versions nor any request header knows more than `highest`."""
    initialise = Engine.__init__

    def initialise_limited(self, *arguments, **named):
        initialise(self, *arguments, **named)
        self._protocol_versions = [v for v in self._protocol_versions if v <= highest]

    Engine.__init__ = initialise_limited


def embed_tag() -> None:
    """Below KMIP 1.4, which has no field for the GCM tag, Data is the ciphertext and its tag.

    PyKMIP loses the tag there; servers that can be used with 1.2 and 1.3 do this.
    """
    encrypt, decrypt = Engine._process_encrypt, Engine._process_decrypt

    def has_no_tag_field(self, payload) -> bool:
        parameters = payload.cryptographic_parameters
        return (self._protocol_version < ProtocolVersion(1, 4) and parameters is not None
                and parameters.block_cipher_mode == enums.BlockCipherMode.GCM)

    def encrypt_embedded(self, payload):
        answer = encrypt(self, payload)
        if has_no_tag_field(self, payload) and answer.auth_tag:
            answer = payloads.EncryptResponsePayload(
                answer.unique_identifier, answer.data + answer.auth_tag, answer.iv_counter_nonce)
        return answer

    def decrypt_embedded(self, payload):
        if has_no_tag_field(self, payload) and payload.auth_tag is None:
            size = payload.cryptographic_parameters.tag_length
            payload.auth_tag, payload.data = payload.data[-size:], payload.data[:-size]
        return decrypt(self, payload)

    Engine._process_encrypt, Engine._process_decrypt = encrypt_embedded, decrypt_embedded


def record_operations(path: str) -> None:
    """One line per operation that arrives: version, operation, user."""
    process = Engine._process_operation

    def process_recorded(self, operation, payload):
        name = "".join(word.capitalize() for word in operation.name.split("_"))
        with open(path, "a", encoding="utf-8") as record:
            record.write(f"{self._protocol_version} {name} {self._client_identity[0]}\n")
        return process(self, operation, payload)

    Engine._process_operation = process_recorded


def version(text: str) -> ProtocolVersion:
    major, minor = text.split(".")
    return ProtocolVersion(int(major), int(minor))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True, help="PyKMIP's server.conf")
    parser.add_argument("--log", required=True, help="absolute path of its log")
    parser.add_argument("--record", help="file that gets one line per operation received")
    parser.add_argument("--tls13", action="store_true", help="TLS 1.3 only instead of TLS 1.2 only")
    parser.add_argument("--max-version", type=version, help="highest KMIP version known, e.g. 1.3")
    parser.add_argument("--embed-tag", action="store_true", help="GCM tag in Data below KMIP 1.4")
    options = parser.parse_args()

    if options.tls13:
        use_tls(ssl.TLSVersion.TLSv1_3)
    elif not hasattr(ssl, "wrap_socket"):
        use_tls(ssl.TLSVersion.TLSv1_2)
    if options.max_version:
        limit_versions(options.max_version)
    if options.embed_tag:
        embed_tag()
    if options.record:
        record_operations(options.record)
    with Server(config_path=options.config, log_path=options.log) as running:
        running.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
