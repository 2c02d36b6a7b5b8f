# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""The KMS of the machine: the mock, with the keys of ../keys.json, over both protocols. They survive
its restart because they are given."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from machine import retry
from overlay import TOOLS, Overlay

PKI = "/var/lib/okms-mock-kms/pki"
_FACTS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "keys.json").read_text())


def variables(key: str, protocol: str) -> dict[str, str]:
    """What the provider is told in order to use that key."""
    server = {
        "kmip": {"OKMS_SERV_ADDR": f"localhost:{_FACTS['kmipPort']}"},
        "rest": {"OKMS_SERV_ADDR": f"https://localhost:{_FACTS['restPort']}",
                 "OKMS_ID": _FACTS["okmsId"]},
    }
    return {"OKMS_PROTOCOL": protocol, **server[protocol], "OKMS_KEY_ID": _FACTS["keys"][key]["id"]}


def install(disk: Overlay, build: Path) -> None:
    keys = " ".join("--key id={id},name={label},material={material}".format(**key)
                    for key in _FACTS["keys"].values())
    disk.write("/etc/systemd/system/okms-mock-kms.service",
               "[Unit]\nDescription=Mock KMS\n"
               "[Service]\nType=exec\n"
               f"ExecStart={TOOLS}/okms-mock-kms --pki {PKI} --port {_FACTS['kmipPort']} "
               f"--rest-port {_FACTS['restPort']} --okms-id {_FACTS['okmsId']} {keys}\n"
               "[Install]\nWantedBy=multi-user.target\n")
    disk.enable("okms-mock-kms.service")
    # It makes its certificates when it starts.
    pki = disk.path(PKI)
    maker = subprocess.Popen([build / "okms-mock-kms", "--pki", pki], stdout=subprocess.DEVNULL)
    try:
        retry((pki / "client.key").exists, 10, "certificates of the mock KMS")
    finally:
        maker.terminate()
        maker.wait()
