# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# A cluster with a past: what was stored with the Go plugin, or before there was any, reads back and
# is written anew, and nothing is lost.
# lanes: nspawn
# needs: control-plane
# protocols: kmip rest

SECRETS = "/api/v1/namespaces/default/secrets"
REGISTRY = "/registry/secrets/default"
PREFIX = b"k8s:enc:kms:v2:okms:"
OLD = "from the days without encryption"


def put(name: str, value: str) -> None:
    """Into etcd, past the apiserver; in base64."""
    etcd("put", key=encoded(f"{REGISTRY}/{name}"), value=value)


def replace(name: str, **labels: str) -> None:
    """Reads and writes it, as `kubectl get` and `kubectl replace` do."""
    secret = get(f"{SECRETS}/{name}")
    secret["metadata"].setdefault("labels", {}).update(labels)
    send("PUT", f"{SECRETS}/{name}", secret)


def restart_all() -> None:
    """So that nothing comes from a cache."""
    machine.succeed(f"systemctl restart {SERVICE} kube-apiserver.service")
    wait_until_ready()


start_all()
wait_until_ready()
record = json.loads(machine.succeed("cat /etc/vm-tests/stored-by-go.json"))
GO, GO_VALUE = record["name"], record["plaintext"]
GO_STORED = base64.b64decode(record["value"])

with subtest("what the Go plugin encrypted reads back"):
    put(GO, record["value"])
    assert read_secret(GO) == GO_VALUE

with subtest("its key has the same id with ours: nothing has to be written again"):
    # Were the id another, the apiserver would not leave it as it is.
    replace(GO)
    assert stored(f"{REGISTRY}/{GO}") == GO_STORED

with subtest("changed, it is encrypted by ours"):
    replace(GO, changed="yes")
    raw = stored(f"{REGISTRY}/{GO}")
    assert raw.startswith(PREFIX) and raw != GO_STORED
    assert GO_VALUE.encode() not in raw
    assert read_secret(GO) == GO_VALUE

with subtest("what was stored without encryption reads back"):
    create_secret("old", OLD)
    # As the apiserver would have stored it.
    plain = machine.succeed(api(f"{SECRETS}/old", "--header",
                                "Accept: application/vnd.kubernetes.protobuf")
                            + " | base64 --wrap=0")
    put("old", plain)
    assert OLD.encode() in stored(f"{REGISTRY}/old")
    restart_all()
    assert read_secret("old") == OLD

with subtest("written again, it is encrypted"):
    replace("old")
    raw = stored(f"{REGISTRY}/old")
    assert raw.startswith(PREFIX) and OLD.encode() not in raw

with subtest("under a name that no provider has, it is refused; with the name it is back"):
    put(GO, encoded(GO_STORED.replace(PREFIX, b"k8s:enc:kms:v2:other:")))
    answer = machine.fail(api(f"{SECRETS}/{GO}"))
    assert "no matching prefix" in answer and GO_VALUE not in answer, answer
    assert read_secret("old") == OLD
    put(GO, record["value"])
    assert read_secret(GO) == GO_VALUE

with subtest("with nothing in a cache, all is there, of the Go plugin and of ours"):
    restart_all()
    secrets = {item["metadata"]["name"]: item["data"]["value"] for item in get(SECRETS)["items"]}
    assert secrets == {GO: encoded(GO_VALUE), "old": encoded(OLD)}, secrets
