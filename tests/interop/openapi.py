# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
"""OVHcloud's description of the OKMS API, cut down to the calls the plugin makes."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import yaml

_BASE = "/api/{okmsId}/v1/servicekey"
_CALLS = ((_BASE, "get"), (_BASE + "/{keyId}", "get"), (_BASE + "/{keyId}/encrypt", "post"),
          (_BASE + "/{keyId}/decrypt", "post"))
_ROOT = Path(__file__).parent.parent.parent


def description() -> Path:
    return Path(os.environ.get("OKMS_OPENAPI", _ROOT.parent / "shared/data/okms-openapi.yaml"))


def trimmed(okms_id: str, keys: list[str], ciphertext: str) -> dict[str, Any]:
    """The four calls, and beside them examples without which nearly every call would be 404 or
    400: what exists in the mock. The schemas stay as they are."""
    whole = yaml.safe_load(description().read_text())
    components = copy.deepcopy(whole["components"])
    components.pop("securitySchemes", None)  # the client's certificate is all there is
    components["parameters"]["okmsId"]["schema"]["enum"] = [okms_id]
    components["parameters"]["servicekeyPath"]["schema"]["enum"] = keys
    paths: dict[str, Any] = {}
    for path, method in _CALLS:
        paths.setdefault(path, {})[method] = copy.deepcopy(whole["paths"][path][method])
    _example(paths, "encrypt", {"plaintext": "c2VlZA==", "context": None})
    _example(paths, "decrypt", {"ciphertext": ciphertext})
    return {"openapi": whole["openapi"], "info": whole["info"], "paths": paths,
            "components": components}


def _example(paths: dict[str, Any], call: str, body: dict[str, Any]) -> None:
    content = paths[f"{_BASE}/{{keyId}}/{call}"]["post"]["requestBody"]["content"]
    content["application/json"]["example"] = body
