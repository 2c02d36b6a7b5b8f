# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# etcd and kube-apiserver as units beside the provider: Secrets are encrypted in etcd, and all comes
# back by itself after a reboot.
# lanes: nspawn
# needs: control-plane
# protocols: kmip rest

import base64

API = "https://127.0.0.1:6443"
VALUE = "a value that nobody may see"


def api(path: str, *options: str) -> str:
    """A command; its status is not 0 when the apiserver refuses."""
    return shlex.join(["curl", "--silent", "--show-error", "--fail-with-body", "--insecure",
                       "--max-time", "20", "--header", "Authorization: Bearer admin", *options,
                       API + path])


def create(kind: str, name: str) -> None:
    data = {"value": VALUE if kind == "configmaps" else base64.b64encode(VALUE.encode()).decode()}
    body = json.dumps({"metadata": {"name": name}, "data": data})
    machine.succeed(api(f"/api/v1/namespaces/default/{kind}",
                        "--header", "Content-Type: application/json", "--data", body))


def read_secret(name: str) -> str:
    answer = json.loads(machine.succeed(api(f"/api/v1/namespaces/default/secrets/{name}")))
    return base64.b64decode(answer["data"]["value"]).decode()


def stored(key: str) -> bytes:
    body = json.dumps({"key": base64.b64encode(key.encode()).decode()})
    answer = json.loads(machine.succeed(
        shlex.join(["curl", "--silent", "--fail", "--data", body,
                    "http://127.0.0.1:2379/v3/kv/range"])))
    return base64.b64decode(answer["kvs"][0]["value"])


def wait_until_ready() -> None:
    machine.wait_for_unit("kube-apiserver.service", timeout=120)
    machine.wait_until_succeeds(api("/readyz"), timeout=120)
    machine.wait_until_succeeds(api("/api/v1/namespaces/default"), timeout=60)


start_all()

with subtest("the apiserver becomes ready; its first call started the provider"):
    wait_until_ready()
    machine.wait_for_unit(SERVICE)

with subtest("a Secret is encrypted in etcd, and reads back"):
    create("secrets", "first")
    raw = stored("/registry/secrets/default/first")
    assert raw.startswith(b"k8s:enc:kms:v2:okms:"), raw[:40]
    assert VALUE.encode() not in raw
    assert read_secret("first") == VALUE
    # The same look at something that is not encrypted finds it.
    create("configmaps", "plain")
    assert VALUE.encode() in stored("/registry/configmaps/default/plain")

with subtest("after a reboot, all is back without a hand on anything"):
    machine.shutdown()
    machine.start()
    wait_until_ready()
    assert unit("NRestarts", "kube-apiserver.service") == "0"
    assert read_secret("first") == VALUE
    create("secrets", "second")
    assert read_secret("second") == VALUE

with subtest("a restart of the provider goes unnoticed"):
    machine.succeed(f"systemctl restart {SERVICE}")
    create("secrets", "third")
    assert read_secret("third") == VALUE
    machine.succeed(api("/readyz"))
