# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# A renewed certificate is taken without a hand on any unit, without the loss of a call, and only when it
# is good: whatever is written, the service goes on.
# lanes: nspawn

start_all()
machine.wait_for_unit("okms-mock-kms.service")
RENEW = f"{PLUGIN}-renew@{INSTANCE}.service" if INSTANCE else f"{PLUGIN}-renew.service"
PATH_UNIT, TIMER = RENEW.replace(".service", ".path"), RENEW.replace(".service", ".timer")
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


def write(certificate: str, key: str = "") -> None:
    """Of that name, in place: not at once, as a file that is renamed would be."""
    machine.succeed(f"cat {NEW}/{certificate}.pem > {CERTIFICATE}",
                    *([f"cat {NEW}/{key}.key > {KEY}"] if key else []))


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


def lines() -> list[str]:
    """What was said of renewals."""
    return machine.succeed(
        f"journalctl --sync; journalctl --no-pager --output=cat --unit={RENEW} _TRANSPORT=stdout"
    ).splitlines()


def is_refused(why: str, used: str) -> None:
    """In one line; the service goes on as it is."""
    before = len(lines())
    wait_for_journal(why, service=RENEW)
    assert wait_for_end_of_looks() == "failed"
    said = [line for line in lines() if why in line]
    assert said[-1].startswith("not renewed, the files in use stay in use: "), (before, said)
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
    wait_for_end_of_looks(before)
    before = looked()
    write("old", "old")
    assert wait_for_end_of_looks(before) == "inactive"
    assert unit("MainPID", SERVICE) == process
    assert lines() == []

with subtest("half a pair is refused, the service goes on; the other half is waited for, under load"):
    start_load(seconds=15)
    write("first")
    is_refused("does not belong", used="old")
    write("first", "first")
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
    write("second", "second")
    wait_for_renewal("second")
    assert lines() == said, lines()

process = unit("MainPID", SERVICE)

with subtest("a pair that is broken, out of date, or of two is refused, and says why"):
    machine.succeed(f"head -c 700 {NEW}/first.pem > {CERTIFICATE}")
    is_refused("certificate", used="second")
    write("expired", "expired")
    is_refused("expired on", used="second")
    write("first", "third")
    is_refused("does not belong", used="second")
    machine.succeed(f"rm {KEY}")
    is_refused("found no file", used="second")
    assert RENEW in machine.succeed("systemctl list-units --failed --plain --no-legend")

with subtest("then a good one is taken, and nothing is failed any more"):
    write("third", "third")
    wait_for_renewal("third")
    assert unit("ActiveState", RENEW) == "inactive"
