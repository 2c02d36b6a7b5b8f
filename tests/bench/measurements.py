# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""What scripts/benchmark measures. All calls share one connection, as those of kube-apiserver do."""

from __future__ import annotations

from typing import NamedTuple

# Of the curves.
CLIENTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Measurement(NamedTuple):
    name: str
    protocol: str  # this and the delay as Scene takes them
    delay: str
    arguments: tuple[str, ...]  # of okms-bench


def load(protocol: str, delay: str, operation: str, clients: int) -> Measurement:
    return Measurement(f"{protocol} {delay} {operation} {clients}", protocol, delay,
                       ("--op", operation, "--clients", str(clients)))


def _all() -> list[Measurement]:
    start = ("--op", "start")
    # As long as kube-apiserver waits, and one client more, since it asks but each 10 s.
    hung = ("--op", "status", "--beside", "16", "--stop-kms", "--timeout", "3s")
    cold = ("--op", "cold", "--records", "1000", "--timeout", "60s")
    return [
        Measurement("kmip start", "kmip", "0s", start),
        *(load("kmip", "0s", "decrypt", clients) for clients in CLIENTS),
        load("kmip", "0s", "status", 1),
        load("kmip", "0s", "encrypt", 1),
        Measurement("kmip hung status", "kmip", "0s", hung),
        load("kmip", "5ms", "decrypt", 1),
        load("kmip", "5ms", "decrypt", 64),
        load("kmip", "5ms", "decrypt", 256),
        load("kmip", "5ms", "encrypt", 1),
        load("kmip", "5ms", "encrypt", 16),
        Measurement("kmip 5ms cold 16", "kmip", "5ms", (*cold, "--in-flight", "16")),
        Measurement("kmip 5ms cold all", "kmip", "5ms", (*cold, "--in-flight", "0")),
        Measurement("kmip 5ms herd", "kmip", "5ms",
                    ("--op", "herd", "--records", "256", "--timeout", "60s")),
        Measurement("rest start", "rest", "0s", start),
        *(load("rest", "0s", "decrypt", clients) for clients in CLIENTS),
        load("rest", "5ms", "decrypt", 1),
        load("rest", "5ms", "decrypt", 64),
        load("rest", "5ms", "encrypt", 16),
        *(load("rest-http2", delay, "decrypt", clients)
          for delay in ("0s", "5ms") for clients in (1, 64)),
    ]


ALL = _all()
