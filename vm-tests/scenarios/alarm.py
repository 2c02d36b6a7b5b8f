# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# A service that does not get ready is a failed unit to whoever watches those, until it is ready or was
# stopped; all the while it goes on trying.
# lanes: nspawn

start_all()
machine.wait_for_unit("okms-mock-kms.service")
ALARM = f"{PLUGIN}-alarm@{INSTANCE}.service" if INSTANCE else f"{PLUGIN}-alarm.service"
TIMER = ALARM.replace(".service", ".timer")
SECONDS = 3  # rather than a minute, by a drop-in


def wait_for(name: str, what: str, value: str) -> None:
    machine.wait_until_succeeds(f"[ $(systemctl show --value --property={what} {name}) = {value} ]",
                                timeout=60)


# Units of ours, as monitoring sees them.
FAILED = f"systemctl list-units --failed --plain --no-legend '{PLUGIN}*'"


def wait_for_alarm() -> None:
    # Not always at once: while it looks again, it is not failed for a moment.
    machine.wait_until_succeeds(f"[ \"$({FAILED} | cut --delimiter=' ' --fields=1)\" = {ALARM} ]",
                                timeout=60)


def wait_for_silence() -> None:
    """It has looked after the timer, and found nothing."""
    wait_for(TIMER, "ActiveState", "inactive")
    wait_for(ALARM, "ActiveState", "inactive")
    assert unit("Result", ALARM) == "exec-condition", unit("Result", ALARM)
    assert machine.succeed(FAILED) == ""


def armed() -> int:
    """When the timer began."""
    return int(unit("ActiveEnterTimestampMonotonic", TIMER))


def fail_to_start() -> None:
    machine.succeed("echo OKMS_PROTOCOL=smtp > /run/wrong")
    machine.fail(f"systemctl restart {SERVICE}")


def hurry() -> None:
    drop_in(TIMER, f"[Timer]\nOnActiveSec=\nOnActiveSec={SECONDS}s\n")


hurry()
drop_in(SERVICE, "[Service]\nEnvironmentFile=-/run/wrong\n")

with subtest("as long as nobody calls, there is nothing to wait for"):
    assert unit("ActiveState", SERVICE) == "inactive"
    assert armed() == 0

with subtest("a service that gets ready raises no alarm"):
    round_trip()
    assert armed() > 0
    wait_for_silence()

with subtest("one that does not is a failed unit, not before its time, and goes on trying"):
    fail_to_start()
    wait_for_alarm()
    took = (int(unit("InactiveEnterTimestampMonotonic", ALARM))
            - int(unit("ActiveExitTimestampMonotonic", SERVICE)))
    assert took > (SECONDS - 1) * 1_000_000, took
    wait_for_journal(f"not ready; the reason: systemctl status {SERVICE}", service=ALARM)
    restarts = int(unit("NRestarts", SERVICE))
    machine.wait_until_succeeds(
        f"[ $(systemctl show --value --property=NRestarts {SERVICE}) -gt {restarts + SECONDS} ]",
        timeout=60)
    assert unit("ActiveState", SERVICE) == "activating"
    wait_for_alarm()

with subtest("corrected, it serves, and the alarm goes without a hand on any unit"):
    machine.succeed("rm /run/wrong")
    machine.wait_for_unit(SERVICE, timeout=10)
    round_trip()
    wait_for_silence()

with subtest("stopped, it is no failed unit either, whatever time is left to it"):
    drop_in(SERVICE, "[Service]\nRestartSec=1h\n", name="slow")
    fail_to_start()
    wait_for_alarm()
    drop_in(TIMER, "[Timer]\nOnActiveSec=\nOnActiveSec=1h\n")
    machine.succeed(f"systemctl stop {SOCKET} {SERVICE}")
    wait_for_silence()
    assert unit("ActiveState", SERVICE) == "inactive"
    machine.succeed("rm /run/wrong")
    hurry()

with subtest("without the KMS it is ready: no alarm"):
    before = armed()
    machine.succeed("systemctl stop okms-mock-kms.service", f"systemctl start {SERVICE}")
    assert armed() > before
    wait_for_silence()
    machine.succeed("systemctl start okms-mock-kms.service")

with subtest("a crash as the timer elapses is none: it has been ready"):
    machine.succeed(f"systemctl restart {SERVICE}", f"systemctl kill --signal=KILL {SERVICE}")
    wait_for(SERVICE, "ActiveState", "activating")
    wait_for_silence()
    assert unit("ActiveState", SERVICE) == "activating"
