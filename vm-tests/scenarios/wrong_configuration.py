# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# The bad night: the configuration is wrong for a while, and clients knock. When it is right again,
# nothing else is to be done.
# lanes: nspawn

start_all()
machine.wait_for_unit("okms-mock-kms.service")
round_trip()
# More starts than systemd allows by default in its ten seconds (five).
STARTS = 7

with subtest("a wrong configuration does not start, and one line says what is wrong"):
    drop_in(SERVICE, "[Service]\nEnvironmentFile=/run/wrong\n")
    machine.succeed("echo OKMS_PROTOCOL=smtp > /run/wrong")
    start_knocking(pause=0.05)
    machine.fail(f"systemctl restart {SERVICE}")
    wait_for_journal("--protocol smtp: no such protocol")

with subtest("it goes on trying, and the socket refuses nobody"):
    machine.wait_until_succeeds(
        f"[ $(systemctl show --value --property=NRestarts {SERVICE}) -ge {STARTS} ]", timeout=60)
    assert unit("ActiveState", SOCKET) == "active"
    assert unit("ActiveState", SERVICE) == "activating"

with subtest("corrected, it serves, without a hand on any unit"):
    machine.succeed(": > /run/wrong")
    machine.wait_for_unit(SERVICE, timeout=10)
    round_trip()
    knocks = stop_knocking()
    assert set(knocks) == {"connected"}, knocks
    wait_for_status_text("serving")
