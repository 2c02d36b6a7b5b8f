# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# A process that is there but no longer works is replaced by the watchdog.
# lanes: nspawn

start_all()
machine.wait_for_unit("okms-mock-kms.service")
round_trip()

with subtest("the watchdog is on"):
    assert unit("WatchdogUSec", SERVICE) == "30s"

with subtest("a process that works is left alone"):
    drop_in(SERVICE, "[Service]\nWatchdogSec=4s\n")
    machine.succeed(f"systemctl restart {SERVICE}")
    round_trip()
    pid = unit("MainPID", SERVICE)
    before = int(unit("WatchdogTimestampMonotonic", SERVICE))
    # Half as long again as it may be silent.
    machine.wait_until_succeeds(
        f"[ $(systemctl show --value --property=WatchdogTimestampMonotonic {SERVICE}) "
        f"-gt {before + 6_000_000} ]", timeout=20)
    assert unit("MainPID", SERVICE) == pid and unit("NRestarts", SERVICE) == "0"

with subtest("a wedged process is killed, and systemd says why"):
    machine.succeed(f"systemctl kill --signal=STOP --kill-whom=main {SERVICE}")
    wait_for_journal("Watchdog timeout")
    wait_for_journal("Failed with result 'watchdog'")
    machine.wait_until_succeeds(
        f"[ $(systemctl show --value --property=NRestarts {SERVICE}) -eq 1 ]", timeout=30)
    machine.wait_for_unit(SERVICE)
    assert unit("MainPID", SERVICE) != pid

with subtest("its successor serves"):
    round_trip()
    wait_for_status_text("serving")
