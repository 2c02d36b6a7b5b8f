# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# A renewed certificate is taken without a hand on any unit, without the loss of a call, and only when it
# is good: whatever is written, the service goes on.
# lanes: nspawn

import os

start_all()
machine.wait_for_unit("okms-mock-kms.service")
CERTIFICATE, KEY = (
    machine.succeed(f"systemctl cat {SERVICE} | sed -n 's/^LoadCredential={name}://p'").strip()
    for name in ("client-cert", "client-key"))
PKI = "/var/lib/okms-mock-kms/pki"
NEW = "/root/new"  # pairs of another CA


def issue(name: str, *options: str) -> None:
    """A pair: NEW/name.pem, name.key."""
    machine.succeed(
        f"cd {NEW}; openssl req -newkey rsa:2048 -nodes -subj /CN={name} -keyout {name}.key -out "
        f"{name}.csr 2>&1; openssl x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key "
        f"-CAcreateserial -out {name}.pem {shlex.join(options or ('-days', '30'))} 2>&1")


def writing(certificate: str, key: str) -> str:
    """A command that writes those in place: not at once, as a file that is renamed would be."""
    return f"cat {NEW}/{certificate}.pem > {CERTIFICATE}; cat {NEW}/{key}.key > {KEY}"


def is_used(name: str) -> str:
    """A command that says whether the service was given that pair."""
    return (f"cd /run/credentials/{SERVICE} && cmp {NEW}/{name}.pem client-cert "
            f"&& cmp {NEW}/{name}.key client-key")


def wait_for_renewal(name: str) -> None:
    machine.wait_until_succeeds(is_used(name), timeout=60)
    machine.wait_for_unit(SERVICE)
    round_trip()
    wait_for_end_of_looks()


def looked() -> int:
    return int(unit("InactiveExitTimestampMonotonic", RENEW))


def wait_for_end_of_looks(since: int = -1) -> str:
    """How it ended; not only as far as 'come again'."""
    machine.wait_until_succeeds(
        f"systemctl show --property=ActiveState,InactiveExitTimestampMonotonic {RENEW} | "
        f"awk -F= '{{ of[$1] = $2 }} END {{ exit !(of[\"ActiveState\"] ~ /^(inactive|failed)$/ && "
        f"of[\"InactiveExitTimestampMonotonic\"] > {since}) }}'", timeout=60)
    return unit("ActiveState", RENEW)


SAID = f"journalctl --sync; journalctl --no-pager --output=cat --unit={RENEW} _TRANSPORT=stdout"


def lines() -> list[str]:
    """What was said of renewals."""
    return machine.succeed(SAID).splitlines()


def refused(change: str, why: str, used: str) -> None:
    """The command makes a change that is. One line says so, and the service goes on as it is."""
    before = len(lines())
    machine.succeed(change)
    machine.wait_until_succeeds(f"[ $({{ {SAID}; }} | wc -l) -gt {before} ]", timeout=30)
    assert wait_for_end_of_looks() == "failed"
    said = lines()[before:]
    assert len(said) == 1 and why in said[0], said
    assert said[0].startswith("not renewed, the files in use stay in use: "), said
    machine.succeed(is_used(used))
    assert unit("MainPID", SERVICE) == process
    round_trip()


machine.succeed(f"mkdir -m 700 {NEW}",
                f"cd {NEW}; openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=new -days 30 "
                "-keyout ca.key -out ca.pem 2>&1",
                # Both are good for the KMS.
                f"cp {PKI}/ca.pem {NEW}/old-ca.pem; cat {NEW}/ca.pem >> {PKI}/ca.pem",
                f"cp {CERTIFICATE} {NEW}/old.pem; cp {KEY} {NEW}/old.key",
                "systemctl restart okms-mock-kms.service")
for pair in ("first", "second", "third"):
    issue(pair)
issue("expired", "-days", "0")
round_trip()

with subtest("a file that is touched, or written as it was, restarts nothing"):
    process = unit("MainPID", SERVICE)
    before = looked()
    machine.succeed(f"touch {CERTIFICATE} {KEY}")
    assert wait_for_end_of_looks(before) == "inactive"
    before = looked()
    machine.succeed(writing("old", "old"))
    assert wait_for_end_of_looks(before) == "inactive"
    assert unit("MainPID", SERVICE) == process
    assert lines() == []

with subtest("half a pair is refused, the service goes on; the other half is waited for, under load"):
    start_load(seconds=10)
    refused(f"cat {NEW}/first.pem > {CERTIFICATE}", "does not belong", used="old")
    machine.succeed(f"cat {NEW}/first.key > {KEY}")
    wait_for_renewal("first")
    assert unit("MainPID", SERVICE) != process
    load = finish_load()
    assert load["errors"] == 0 and load["calls"] > 100, load

with subtest("the new certificate is the one in use: the KMS knows no other any more"):
    machine.succeed(f"cp {NEW}/ca.pem {PKI}/ca.pem", "systemctl restart okms-mock-kms.service")
    machine.wait_until_succeeds(call("status"), timeout=30)
    round_trip()
    machine.succeed(f"cat {NEW}/old-ca.pem >> {PKI}/ca.pem", "systemctl restart okms-mock-kms.service")
    machine.wait_until_succeeds(call("status"), timeout=30)

with subtest("written at once, it is taken without a word"):
    said = lines()
    machine.succeed(writing("second", "second"))
    wait_for_renewal("second")
    assert lines() == said, lines()

process = unit("MainPID", SERVICE)

with subtest("a pair that is broken, out of date, or of two is refused, and says why"):
    refused(f"head -c 700 {NEW}/first.pem > {CERTIFICATE}", "is broken", used="second")
    refused(writing("expired", "expired"), "expired on", used="second")
    refused(writing("first", "third"), "does not belong", used="second")
    refused(f"rm {KEY}", "found no file", used="second")
    assert RENEW in machine.succeed("systemctl list-units --failed --plain --no-legend")

with subtest("then a good one is taken, and nothing is failed any more"):
    machine.succeed(writing("third", "third"))
    wait_for_renewal("third")
    assert unit("ActiveState", RENEW) == "inactive"

with subtest("however often is written: a restart when it has ended, and not before"):
    process = unit("MainPID", SERVICE)
    machine.succeed("for i in $(seq 300); do for name in first second; do "
                    f"{{ echo $i; cat {NEW}/$name.pem; }} > {CERTIFICATE}; cat {NEW}/$name.key > {KEY}; "
                    f"done; done", writing("second", "second"))
    assert unit("MainPID", SERVICE) == process
    wait_for_renewal("second")
    for name in (RENEW_PATH, RENEW_TIMER):
        assert unit("ActiveState", name) == "active", name

folder = os.path.dirname(CERTIFICATE)
for pair in ("first", "second", "third"):
    machine.succeed(f"mkdir {folder}/{pair}; cp {NEW}/{pair}.pem {folder}/{pair}/client.pem; "
                    f"cp {NEW}/{pair}.key {folder}/{pair}/client.key; cp -a {folder}/{pair} /root/")


def link(to: str) -> str:
    return f"ln -sfn {to}/client.pem {CERTIFICATE}; ln -sfn {to}/client.key {KEY}"


with subtest("a link above others is swung, and the old files go, as Kubernetes does it"):
    machine.succeed(f"cd {folder}; ln -s second now; {link('now')}",
                    f"cd {folder}; ln -s first next; mv -T next now; rm -r second")
    wait_for_renewal("first")

with subtest("links are swung, and the old files stay, as certbot does it"):
    machine.succeed(link("third"))
    wait_for_renewal("third")

with subtest("a link elsewhere, which nothing tells of, is found in time"):
    machine.succeed("ln -s third /root/now", link("/root/now"))
    wait_for_end_of_looks(looked() - 1)
    machine.succeed("cd /root; ln -s second next; mv -T next now")
    drop_in(RENEW_TIMER, "[Timer]\nOnActiveSec=\nOnActiveSec=1s\n")
    machine.succeed(f"systemctl restart {RENEW_TIMER}")
    wait_for_renewal("second")
    remove_drop_in(RENEW_TIMER)

with subtest("other files than the service is given: one restart, then a word, and no more"):
    machine.succeed("mkdir -m 700 /root/other; "
                    f"cp {NEW}/first.pem /root/other/client.pem; cp {NEW}/first.key /root/other/client.key")
    drop_in(RENEW, "[Service]\nLoadCredential=client-cert:/root/other/client.pem\n"
                   "LoadCredential=client-key:/root/other/client.key\n")
    process = unit("MainPID", SERVICE)
    machine.succeed(f"systemctl start {RENEW}")
    machine.wait_until_succeeds(f"[ $(systemctl show --value --property=MainPID {SERVICE}) != {process} ]")
    machine.wait_for_unit(SERVICE)
    machine.succeed(f"systemctl start {RENEW}")
    wait_for_journal("had the old ones again", service=RENEW)
    assert wait_for_end_of_looks() == "failed"

with subtest("stopped, there is nothing to renew, and nothing is failed"):
    machine.succeed(f"systemctl stop {SOCKET} {SERVICE}")
    machine.wait_until_succeeds(f"[ $(systemctl show --value --property=ActiveState {RENEW}) = inactive ]")
    for name in (RENEW_PATH, RENEW_TIMER):
        assert unit("ActiveState", name) == "inactive", name
