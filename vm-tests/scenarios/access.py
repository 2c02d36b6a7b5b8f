# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# Who may connect: root, and the members of the socket's group. A stranger gets nowhere, whichever of
# the two checks is left, and nothing of his reaches the KMS.
# lanes: nspawn

start_all()
machine.wait_for_unit("okms-mock-kms.service")
round_trip()
record = encrypt()
# The key's proof is renewed by a round trip from time to time; a stranger's calls would be more.
CALLS = 5


def strangers_calls_fail() -> None:
    before = asked_the_kms("Decrypt")
    for _ in range(CALLS):
        answer = machine.fail(decrypt_command(record, user="stranger", timeout="500ms"))
        assert SEED not in answer, answer
    after = asked_the_kms("Decrypt")
    assert after - before <= 1, (before, after)


with subtest("a member of the group is served"):
    assert SEED in machine.succeed(decrypt_command(record, user="member"))

with subtest("the same calls, allowed, do reach the KMS"):
    before = asked_the_kms("Decrypt")
    for _ in range(CALLS):
        machine.succeed(decrypt_command(record, user="member"))
    assert asked_the_kms("Decrypt") - before >= CALLS

with subtest("a stranger is refused by the file's mode"):
    assert machine.succeed(f"stat -c '%a %U:%G' {PATH}").strip() == "660 root:okms-kms"
    strangers_calls_fail()
    journal = machine.succeed("journalctl --sync; "
                              f"journalctl --no-pager --output=cat --unit={SERVICE}")
    assert "refused a connection" not in journal, journal  # he did not even get to the plugin

with subtest("a stranger is refused by the plugin when the mode lets him in"):
    drop_in(SOCKET, "[Socket]\nSocketMode=0666\n")
    machine.succeed(f"systemctl restart {SOCKET}")
    assert machine.succeed(f"stat -c %a {PATH}").strip() == "666"
    round_trip()
    strangers_calls_fail()
    wait_for_journal("refused a connection of user")
    assert SEED in machine.succeed(decrypt_command(record, user="member"))

with subtest("without the user namespace, the log names him and OKMS_ALLOW_UID lets him in"):
    drop_in(SERVICE, "[Service]\nPrivateUsers=no\n")
    machine.succeed(f"systemctl restart {SERVICE}")
    round_trip()
    strangers_calls_fail()
    stranger = machine.succeed("id -u stranger").strip()
    wait_for_journal(f"refused a connection of user {stranger}")
    drop_in(SERVICE, "[Service]\nPrivateUsers=no\nEnvironment=OKMS_ALLOW_UID=stranger\n")
    machine.succeed(f"systemctl restart {SERVICE}")
    assert SEED in machine.succeed(decrypt_command(record, user="stranger"))
