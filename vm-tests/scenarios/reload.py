# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# Other credentials for a service that runs, as systemd passes them from version 260 on: what is mounted
# in its namespace is replaced, here by hand, then comes SIGHUP. The process stays, and no call fails.
# lanes: nspawn

start_all()
machine.wait_for_unit("okms-mock-kms.service")
PKI = "/var/lib/okms-mock-kms/pki"
NEW = "/var/lib/new"  # pairs of another CA, where the service's namespace has it, too
CREDENTIALS = f"/run/credentials/{SERVICE}"
TAKEN = "certificates read again: "


def issue(name: str) -> None:
    """Credentials: a folder of NEW, with another certificate and key."""
    machine.succeed(
        f"cp -a {CREDENTIALS} {NEW}/{name}; cd {NEW}/{name}; chmod u+w . *; "
        f"openssl req -newkey rsa:2048 -nodes -subj /CN={name} -keyout client-key -out ../csr 2>&1; "
        "openssl x509 -req -in ../csr -CA ../ca.pem -CAkey ../ca.key -CAcreateserial -days 30 "
        "-out client-cert 2>&1; chown -R okms-kms . ; chmod 400 *; chmod 500 .")


def reload(name: str, said: str) -> None:
    """Which is one more line."""
    count = (f"journalctl --sync; journalctl --no-pager --output=cat --unit={SERVICE} "
             f"| grep --count --fixed-strings -- {shlex.quote(said)} || true")
    before = int(machine.succeed(count))
    pid = unit("MainPID", SERVICE)
    machine.succeed(f"nsenter --target {pid} --mount mount --bind {NEW}/{name} {CREDENTIALS}",
                    f"systemctl kill --signal=HUP --kill-whom=main {SERVICE}")
    machine.wait_until_succeeds(f"[ $({count}) -gt {before} ]", timeout=30)


round_trip()
# Which are for the systemd of before, and would restart the service for another CA on disk.
machine.succeed(f"systemctl stop {RENEW_PATH} {RENEW_TIMER}")
machine.succeed(f"systemctl stop {RENEW}")  # which the end of the timer starts
machine.succeed(f"mkdir {NEW}; cd {NEW}; openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=new -days 30 "
                f"-keyout ca.key -out ca.pem 2>&1; cp {PKI}/ca.pem old-ca.pem; cat ca.pem >> {PKI}/ca.pem",
                "systemctl restart okms-mock-kms.service")
for pair in ("first", "second", "half", "third"):
    issue(pair)
machine.succeed(f"cp --preserve=all {NEW}/first/client-key {NEW}/half/client-key")
machine.wait_until_succeeds(call("status"), timeout=30)
process = unit("MainPID", SERVICE)

with subtest("reloaded under load: the process stays, and no call fails"):
    start_load(seconds=8)
    for pair in ("first", "second"):
        reload(pair, TAKEN)
    load = finish_load()
    assert load["errors"] == 0 and load["calls"] > 100, load
    assert unit("MainPID", SERVICE) == process

with subtest("half a pair is not taken, and it says so"):
    reload("half", "certificates on disk are not taken: ")
    wait_for_status_text("certificates on disk are not taken")
    round_trip()

with subtest("a good one is, and is the one in use: the KMS knows no other any more"):
    reload("third", TAKEN)
    machine.wait_until_fails(
        f"systemctl show --value --property=StatusText {SERVICE} | grep -F 'not taken'", timeout=30)
    machine.succeed(f"cp {NEW}/ca.pem {PKI}/ca.pem", "systemctl restart okms-mock-kms.service")
    machine.wait_until_succeeds(call("status"), timeout=30)
    round_trip()
    assert unit("MainPID", SERVICE) == process
