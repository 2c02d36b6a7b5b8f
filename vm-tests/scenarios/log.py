# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# The log in systemd's journal: events with their fields, which nobody else can write in the service's
# name; as text when that is asked for, when the journal is busy, and when the process may be gone
# before the journal looks.
# lanes: nspawn


def events(*matches: str) -> list[dict[str, str]]:
    """The entries of the process that runs now."""
    shown = machine.succeed("journalctl --sync; journalctl --no-pager --output=json "
                            f"_PID={unit('MainPID', SERVICE)} {shlex.join(matches)}")
    return [json.loads(line) for line in shown.splitlines()]


def fail_decrypt() -> None:
    machine.fail(decrypt_command({**encrypt(), "key_id": "retired-key"}))


start_all()
machine.wait_for_unit("okms-mock-kms.service")
round_trip()

with subtest("each line is an event with a name, of this service"):
    fail_decrypt()
    entries = events("_TRANSPORT=journal")
    assert entries
    for entry in entries:
        assert entry["OKMS_EVENT"], entry
        assert entry["_SYSTEMD_UNIT"] == SERVICE and entry["SYSLOG_IDENTIFIER"] == PLUGIN, entry
    adopted, = events("OKMS_EVENT=key-adopted")
    assert adopted["MESSAGE"].startswith("ready: key ") and adopted["PRIORITY"] == "5", adopted
    assert len(adopted["KEY_ID_HASH"]) == len("sha256:") + 64, adopted
    failed, = events("OKMS_EVENT=call-failed")
    assert failed["UID"] and f"(uid {failed['UID']}, key retired-key)" in failed["MESSAGE"], failed
    assert failed["PRIORITY"] == "4" and failed["KEY_ID_HASH"] != adopted["KEY_ID_HASH"], failed
    assert failed["MESSAGE"] in machine.succeed(f"systemctl status --full --lines=50 {SERVICE}")

with subtest("it survives a restart of the journal"):
    machine.succeed("systemctl restart systemd-journald.service")
    machine.succeed(f"systemctl kill --signal=USR1 {SERVICE}")
    wait_for_journal("SIGUSR1: means nothing here")
    assert events("OKMS_EVENT=signal-ignored")

with subtest("a journal that stands still keeps no call waiting"):
    journal = unit("MainPID", "systemd-journald.service")
    machine.succeed(f"kill -STOP {journal}")
    for _ in range(30):
        fail_decrypt()
    round_trip()
    machine.succeed(f"kill -CONT {journal}")
    wait_for_journal("Decrypt failed")

with subtest("text and JSON are lines with their priority"):
    for form, begin in (("text", "ready: key "), ("json", '{"time":"')):
        drop_in(SERVICE, f"[Service]\nEnvironment=OKMS_LOG_FORMAT={form}\n")
        machine.succeed(f"systemctl restart {SERVICE}")
        round_trip()
        entries = [entry for entry in events("PRIORITY=5") if "ready: key" in entry["MESSAGE"]]
        assert entries and entries[0]["MESSAGE"].startswith(begin), entries
        assert entries[0]["_TRANSPORT"] == "stdout" and "OKMS_EVENT" not in entries[0], entries
        remove_drop_in(SERVICE)

with subtest("what ends a start is the service's, though the process is gone when it is read"):
    drop_in(SERVICE, "[Service]\nEnvironment=OKMS_TIMEOUT=long\n")
    machine.succeed(f"kill -STOP {unit('MainPID', 'systemd-journald.service')}")
    machine.fail(f"systemctl restart {SERVICE}")
    machine.succeed(f"kill -CONT {unit('MainPID', 'systemd-journald.service')}")
    wait_for_journal("--timeout long: no duration")
    remove_drop_in(SERVICE)
    machine.succeed(f"systemctl restart {SERVICE}", "journalctl --sync")
    shown = machine.succeed("journalctl --no-pager --output=json --grep='--timeout long: no duration'")
    mistakes = [entry for entry in map(json.loads, shown.splitlines())
                if entry.get("SYSLOG_IDENTIFIER") == PLUGIN]
    assert mistakes
    for entry in mistakes:
        assert entry.get("_SYSTEMD_UNIT") == SERVICE and entry["PRIORITY"] == "3", entry
