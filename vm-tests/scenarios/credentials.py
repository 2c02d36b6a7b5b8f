# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# Certificate, key and CA: where the installed units look for them. (NixOS has its own places.)
# lanes: nspawn
# units: installed

start_all()
machine.wait_for_unit("okms-mock-kms.service")
FOLDER = f"/etc/{PLUGIN}"
CA = f"/etc/credstore/{PLUGIN}.ca"


def restart() -> None:
    machine.succeed(f"systemctl restart {SERVICE}")


with subtest("the key is root's alone, and a credential of the service"):
    round_trip()
    assert machine.succeed(f"stat -c '%a %U' {FOLDER}/client.key").strip() == "600 root"
    assert machine.succeed(f"ls /run/credentials/{SERVICE}").split() == [
        "ca", "client-cert", "client-key"]

with subtest("the service does not see the key's file itself"):
    machine.succeed(f"{as_user('okms-kms')} test -d {FOLDER}")
    machine.fail(f"{as_user('okms-kms')} cat {FOLDER}/client.key")

with subtest("variables of the Go plugin that name other files change nothing"):
    drop_in(SERVICE, "[Service]\nEnvironment=OKMS_CLIENT_CERT=/nowhere OKMS_CLIENT_KEY=/nowhere\n")
    restart()
    round_trip()
    remove_drop_in(SERVICE)

with subtest("without a CA it starts, and Status tells that the KMS is not trusted"):
    machine.succeed(f"mv {CA} /run/ca.pem")
    restart()
    assert unit("ActiveState", SERVICE) == "active"
    assert machine.succeed(f"ls /run/credentials/{SERVICE}").split() == [
        "client-cert", "client-key"]
    answer = machine.fail(call("status"))
    assert "the KMS's certificate is refused" in answer, answer

with subtest("OKMS_CA_CERT names a CA elsewhere"):
    machine.succeed(f"install -m 644 /run/ca.pem {FOLDER}/ca.pem")
    drop_in(SERVICE, f"[Service]\nEnvironment=OKMS_CA_CERT={FOLDER}/ca.pem\n")
    restart()
    round_trip()
    remove_drop_in(SERVICE)
    machine.succeed(f"mv /run/ca.pem {CA}")

with subtest("the key encrypted on disk"):
    machine.succeed(f"systemd-creds encrypt --with-key=host --name=client-key {FOLDER}/client.key "
                    f"{FOLDER}/client.key.cred", f"mv {FOLDER}/client.key /run/client.key")
    machine.fail(f"grep -F 'PRIVATE KEY' {FOLDER}/client.key.cred")
    # As in the example that is installed with the documentation.
    drop_in(SERVICE, "[Service]\nLoadCredentialEncrypted=client-key:"
                     f"{FOLDER}/client.key.cred\n")
    restart()
    round_trip()

with subtest("an encrypted key under another name is refused"):
    machine.succeed(f"systemd-creds encrypt --with-key=host --name=another /run/client.key "
                    f"{FOLDER}/client.key.cred")
    machine.fail(f"systemctl restart {SERVICE}")

with subtest("it is tried again"):
    wait_for_journal("Failed to set up credentials")
    restarts = int(machine.succeed(f"systemctl show --value --property=NRestarts {SERVICE}"))
    machine.wait_until_succeeds(
        f"[ $(systemctl show --value --property=NRestarts {SERVICE}) -gt {restarts} ]", timeout=30)

with subtest("without a key it waits for one, says so, and recovers by itself"):
    remove_drop_in(SERVICE)
    # Who asks is told, while it waits: no call is refused, and none hangs.
    answer = machine.fail(call("status"))
    assert "--client-key: systemd found no file for this credential" in answer, answer
    assert unit("ActiveState", SERVICE) == "activating"
    machine.succeed(f"install -m 600 /run/client.key {FOLDER}/client.key")
    machine.wait_for_unit(SERVICE, timeout=30)
    round_trip()
