# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""Values as kube-apiserver stores them, without a kube-apiserver."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType

from protobuf_wire import field


def kms_v2(provider: str, key_id: str, seed: bytes, size: int = 100,
           annotations: Mapping[str, bytes] = MappingProxyType({"tag.okms.internal": b"tag"})
           ) -> bytes:
    """A seed from which each object has a key."""
    return (f"k8s:enc:kms:v2:{provider}:".encode() + field(1, bytes(32 + 12 + size + 16))
            + field(2, key_id.encode()) + field(3, seed)
            + b"".join(field(4, field(1, name.encode()) + field(2, value))
                       for name, value in annotations.items()) + field(5, 1))


def kms_v1(provider: str, key: bytes) -> bytes:
    return f"k8s:enc:kms:v1:{provider}:".encode() + len(key).to_bytes(2, "big") + key + bytes(60)


def local(kind: str, key: str) -> bytes:
    """aescbc, aesgcm or secretbox."""
    return f"k8s:enc:{kind}:v1:{key}:".encode() + bytes(96)


def protobuf(created: int) -> bytes:
    """In plain text, as most resources are. `created`: seconds since 1970."""
    metadata = field(1, b"name") + field(8, field(1, created))
    return b"k8s\0" + field(1, field(1, b"v1")) + field(2, field(1, metadata))


def custom(created: str) -> bytes:
    """The same, of a custom resource."""
    return json.dumps({"apiVersion": "a/v1", "metadata": {"creationTimestamp": created}}).encode()
