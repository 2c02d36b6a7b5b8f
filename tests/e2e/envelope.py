# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""What a KMS v2 provider stores in etcd: a protobuf message EncryptedObject behind a prefix
(k8s.io/apiserver, pkg/storage/value/encrypt/envelope/kmsv2/v2/api.proto), whose data is encrypted
with a key that comes of a seed (aes/aes_extended_nonce.go there). The KMS encrypts the seed."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from protobuf_wire import field, fields

_INFO, _NONCE = 32, 12  # what precedes the ciphertext of the data
_SEED = 1  # encryptedDEKSourceType: HKDF_SHA256_XNONCE_AES_GCM_SEED


@dataclass
class Envelope:
    data: bytes
    key_id: str
    source: bytes  # the seed, as the KMS has encrypted it
    annotations: dict[str, bytes] = dataclasses.field(default_factory=dict)
    type: int = _SEED

    def opened(self, seed: bytes, etcd_key: str) -> bytes:
        """Of one that is bound to that key in etcd."""
        info, nonce = self.data[:_INFO], self.data[_INFO:_INFO + _NONCE]
        return _cipher(seed, info).decrypt(nonce, self.data[_INFO + _NONCE:], etcd_key.encode())

    def stored(self, provider: str) -> bytes:
        entries = (field(1, name.encode()) + field(2, value)
                   for name, value in sorted(self.annotations.items()))
        return (_prefix(provider) + field(1, self.data) + field(2, self.key_id.encode())
                + field(3, self.source) + b"".join(field(4, entry) for entry in entries)
                + field(5, self.type))


def sealed(plaintext: bytes, seed: bytes, etcd_key: str) -> bytes:
    """The data of an envelope."""
    info, nonce = os.urandom(_INFO), os.urandom(_NONCE)
    return info + nonce + _cipher(seed, info).encrypt(nonce, plaintext, etcd_key.encode())


def envelope(stored: bytes, provider: str) -> Envelope:
    prefix = _prefix(provider)
    if not stored.startswith(prefix):
        raise ValueError(f"not encrypted by {provider}: {stored[:40]!r}")
    read = Envelope(b"", "", b"", type=0)
    for number, value in fields(stored[len(prefix):]):
        if number == 4:
            entry = dict(fields(as_bytes(value)))
            read.annotations[as_bytes(entry[1]).decode()] = as_bytes(entry[2])
        elif number == 5:
            read.type = int.from_bytes(value, "big") if isinstance(value, bytes) else value
        else:
            setattr(read, {1: "data", 2: "key_id", 3: "source"}[number],
                    as_bytes(value).decode() if number == 2 else value)
    if not read.key_id:
        raise ValueError(f"no keyID in {stored[:80]!r}")
    return read


def as_bytes(value: bytes | int) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError(f"{value} has no length")
    return value


def _cipher(seed: bytes, info: bytes) -> AESGCM:
    return AESGCM(HKDFExpand(SHA256(), 32, info).derive(seed))


def _prefix(provider: str) -> bytes:
    return f"k8s:enc:kms:v2:{provider}:".encode()
