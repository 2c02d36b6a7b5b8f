# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# etcd and kube-apiserver as units beside the provider: Secrets are encrypted in etcd, and all comes
# back by itself after a reboot.
# lanes: nspawn
# needs: control-plane
# protocols: kmip rest

VALUE = "a value that nobody may see"

start_all()

with subtest("the apiserver becomes ready; its first call started the provider"):
    wait_until_ready()
    machine.wait_for_unit(SERVICE)

with subtest("a Secret is encrypted in etcd, and reads back"):
    create_secret("first", VALUE)
    raw = stored("/registry/secrets/default/first")
    assert raw.startswith(b"k8s:enc:kms:v2:okms:"), raw[:40]
    assert VALUE.encode() not in raw
    assert read_secret("first") == VALUE
    # The same look at something that is not encrypted finds it.
    send("POST", "/api/v1/namespaces/default/configmaps",
         {"metadata": {"name": "plain"}, "data": {"value": VALUE}})
    assert VALUE.encode() in stored("/registry/configmaps/default/plain")

with subtest("after a reboot, all is back without a hand on anything"):
    machine.shutdown()
    machine.start()
    wait_until_ready()
    assert unit("NRestarts", "kube-apiserver.service") == "0"
    assert read_secret("first") == VALUE
    create_secret("second", VALUE)
    assert read_secret("second") == VALUE

with subtest("a restart of the provider goes unnoticed"):
    machine.succeed(f"systemctl restart {SERVICE}")
    create_secret("third", VALUE)
    assert read_secret("third") == VALUE
    machine.succeed(api("/readyz"))
