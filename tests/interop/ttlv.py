# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""The TTLV encoding (KMIP 1.4 section 9.1), as much of it as the tests need.

Written apart from the product's codec, so that the two cannot share a mistake.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Union

Value = Union[int, bool, str, bytes, "Items"]
Items = list[tuple[int, Value]]


class Tag(IntEnum):
    ATTRIBUTE = 0x420008
    ATTRIBUTE_NAME = 0x42000A
    ATTRIBUTE_VALUE = 0x42000B
    BATCH_COUNT = 0x42000D
    BATCH_ITEM = 0x42000F
    CRYPTOGRAPHIC_ALGORITHM = 0x420028
    CRYPTOGRAPHIC_LENGTH = 0x42002A
    KEY_BLOCK = 0x420040
    KEY_FORMAT_TYPE = 0x420042
    KEY_MATERIAL = 0x420043
    KEY_VALUE = 0x420045
    NAME_TYPE = 0x420054
    NAME_VALUE = 0x420055
    OBJECT_TYPE = 0x420057
    OPERATION = 0x42005C
    PROTOCOL_VERSION = 0x420069
    PROTOCOL_VERSION_MAJOR = 0x42006A
    PROTOCOL_VERSION_MINOR = 0x42006B
    REQUEST_HEADER = 0x420077
    REQUEST_MESSAGE = 0x420078
    REQUEST_PAYLOAD = 0x420079
    RESULT_MESSAGE = 0x42007D
    RESULT_REASON = 0x42007E
    RESULT_STATUS = 0x42007F
    REVOCATION_REASON = 0x420081
    REVOCATION_REASON_CODE = 0x420082
    SYMMETRIC_KEY = 0x42008F
    TEMPLATE_ATTRIBUTE = 0x420091
    UNIQUE_IDENTIFIER = 0x420094


def _item(tag: int, kind: int, value: bytes) -> bytes:
    padding = b"\0" * (-len(value) % 8)
    return tag.to_bytes(3, "big") + bytes([kind]) + struct.pack(">I", len(value)) + value + padding


def structure(tag: int, *items: bytes) -> bytes:
    return _item(tag, 1, b"".join(items))


def integer(tag: int, value: int) -> bytes:
    return _item(tag, 2, struct.pack(">i", value))


def enumeration(tag: int, value: int) -> bytes:
    return _item(tag, 5, struct.pack(">I", value))


def text(tag: int, value: str) -> bytes:
    return _item(tag, 7, value.encode())


def byte_string(tag: int, value: bytes) -> bytes:
    return _item(tag, 8, value)


def decode(data: bytes) -> Items:
    items: Items = []
    while data:
        tag, kind = int.from_bytes(data[:3], "big"), data[3]
        length = int.from_bytes(data[4:8], "big")
        end = 8 + length + (-length % 8)
        if len(data) < end:
            raise ValueError(f"item {tag:06x} is longer than its message")
        items.append((tag, _value(kind, data[8:8 + length])))
        data = data[end:]
    return items


def _value(kind: int, raw: bytes) -> Value:
    if kind == 1:
        return decode(raw)
    if kind in (2, 3, 4, 9):
        return int.from_bytes(raw, "big", signed=True)
    if kind in (5, 10):
        return int.from_bytes(raw, "big")
    if kind == 6:
        return any(raw)
    return raw.decode() if kind == 7 else raw


def find(items: Items, tag: int) -> Value | None:
    """The first value under `tag`, at any depth."""
    for each, value in items:
        if each == tag:
            return value
        if isinstance(value, list) and (found := find(value, tag)) is not None:
            return found
    return None
