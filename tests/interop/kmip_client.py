# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""What the administrator of a KMS does: make, activate, deactivate and destroy keys."""

from __future__ import annotations

import socket
import ssl
from enum import IntEnum, IntFlag

import ttlv
from ttlv import Tag


class Operation(IntEnum):
    CREATE = 0x01
    REGISTER = 0x03
    GET = 0x0A
    ACTIVATE = 0x12
    REVOKE = 0x13
    DESTROY = 0x14


class Usage(IntFlag):
    ENCRYPT = 4
    DECRYPT = 8


_SYMMETRIC_KEY, _AES, _RAW, _UNINTERPRETED_TEXT, _CESSATION_OF_OPERATION = 2, 3, 1, 1, 6


class KmipError(Exception):
    """A batch item that says Operation Failed."""


class KmipClient:
    """One connection per request: the tests restart their servers at will."""

    def __init__(self, port: int, context: ssl.SSLContext, version: tuple[int, int]) -> None:
        self._port, self._context, self._version = port, context, version

    def create(self, name: str, usage: Usage = Usage.ENCRYPT | Usage.DECRYPT) -> str:
        """The id of a new AES-256 key in state Pre-Active."""
        return self._new_key(Operation.CREATE, name, usage)

    def register(self, name: str, key: bytes, usage: Usage = Usage.ENCRYPT | Usage.DECRYPT) -> str:
        """As `create`, with the bytes of `key`."""
        block = ttlv.structure(
            Tag.KEY_BLOCK,
            ttlv.enumeration(Tag.KEY_FORMAT_TYPE, _RAW),
            ttlv.structure(Tag.KEY_VALUE, ttlv.byte_string(Tag.KEY_MATERIAL, key)),
            ttlv.enumeration(Tag.CRYPTOGRAPHIC_ALGORITHM, _AES),
            ttlv.integer(Tag.CRYPTOGRAPHIC_LENGTH, len(key) * 8),
        )
        return self._new_key(Operation.REGISTER, name, usage,
                             ttlv.structure(Tag.SYMMETRIC_KEY, block))

    def activate(self, key_id: str) -> None:
        self.call(Operation.ACTIVATE, ttlv.text(Tag.UNIQUE_IDENTIFIER, key_id))

    def deactivate(self, key_id: str) -> None:
        code = ttlv.enumeration(Tag.REVOCATION_REASON_CODE, _CESSATION_OF_OPERATION)
        self.call(Operation.REVOKE, ttlv.text(Tag.UNIQUE_IDENTIFIER, key_id),
                  ttlv.structure(Tag.REVOCATION_REASON, code))

    def destroy(self, key_id: str) -> None:
        self.call(Operation.DESTROY, ttlv.text(Tag.UNIQUE_IDENTIFIER, key_id))

    def get(self, key_id: str) -> bytes:
        """The bytes of a key: what the plugin must never ask for."""
        answer = self.call(Operation.GET, ttlv.text(Tag.UNIQUE_IDENTIFIER, key_id))
        material = ttlv.find(answer, Tag.KEY_MATERIAL)
        assert isinstance(material, bytes)
        return material

    def call(self, operation: Operation, *payload: bytes) -> ttlv.Items:
        # No time stamp: PyKMIP refuses one that is a moment ahead of its own clock.
        request = ttlv.structure(
            Tag.REQUEST_MESSAGE,
            ttlv.structure(
                Tag.REQUEST_HEADER,
                ttlv.structure(Tag.PROTOCOL_VERSION,
                               ttlv.integer(Tag.PROTOCOL_VERSION_MAJOR, self._version[0]),
                               ttlv.integer(Tag.PROTOCOL_VERSION_MINOR, self._version[1])),
                ttlv.integer(Tag.BATCH_COUNT, 1)),
            ttlv.structure(Tag.BATCH_ITEM, ttlv.enumeration(Tag.OPERATION, operation),
                           ttlv.structure(Tag.REQUEST_PAYLOAD, *payload)),
        )
        with socket.create_connection(("127.0.0.1", self._port), timeout=10) as plain, \
                self._context.wrap_socket(plain, server_hostname="localhost") as connection:
            connection.sendall(request)
            header = _receive(connection, 8)
            body = _receive(connection, int.from_bytes(header[4:8], "big"))
        answer = ttlv.decode(header + body)
        if ttlv.find(answer, Tag.RESULT_STATUS) != 0:
            raise KmipError(f"{operation.name}: reason {ttlv.find(answer, Tag.RESULT_REASON)}, "
                            f"{ttlv.find(answer, Tag.RESULT_MESSAGE)}")
        return answer

    def _new_key(self, operation: Operation, name: str, usage: Usage, *key: bytes) -> str:
        # Only Create takes algorithm and length from here; a registered key brings its own.
        described = [] if key else [
            _attribute("Cryptographic Algorithm", ttlv.enumeration(Tag.ATTRIBUTE_VALUE, _AES)),
            _attribute("Cryptographic Length", ttlv.integer(Tag.ATTRIBUTE_VALUE, 256)),
        ]
        template = ttlv.structure(
            Tag.TEMPLATE_ATTRIBUTE,
            *described,
            _attribute("Cryptographic Usage Mask", ttlv.integer(Tag.ATTRIBUTE_VALUE, usage)),
            _attribute("Name", ttlv.structure(
                Tag.ATTRIBUTE_VALUE, ttlv.text(Tag.NAME_VALUE, name),
                ttlv.enumeration(Tag.NAME_TYPE, _UNINTERPRETED_TEXT))),
        )
        answer = self.call(operation, ttlv.enumeration(Tag.OBJECT_TYPE, _SYMMETRIC_KEY), template,
                           *key)
        key_id = ttlv.find(answer, Tag.UNIQUE_IDENTIFIER)
        assert isinstance(key_id, str)
        return key_id


def _attribute(name: str, value: bytes) -> bytes:
    return ttlv.structure(Tag.ATTRIBUTE, ttlv.text(Tag.ATTRIBUTE_NAME, name), value)


def _receive(connection: ssl.SSLSocket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise EOFError("the server closed the connection inside an answer")
        data += part
    return data
