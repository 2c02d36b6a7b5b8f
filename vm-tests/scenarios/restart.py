# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# Restarts, wanted and not: the socket stays open, and no call fails but those under way in a process
# that is killed.
# lanes: nspawn

start_all()
machine.wait_for_unit("okms-mock-kms.service")
CLIENTS = 8
round_trip()

with subtest("systemctl restart under load: no call fails"):
    start_load(seconds=5, clients=CLIENTS)
    for _ in range(3):
        pid = unit("MainPID", SERVICE)
        machine.succeed(f"systemctl restart {SERVICE}")
        assert unit("MainPID", SERVICE) != pid
    load = finish_load()
    assert load["errors"] == 0 and load["calls"] > 100, load

with subtest("two restarts at once under load: no call fails"):
    start_load(seconds=4, clients=CLIENTS)
    pid = unit("MainPID", SERVICE)
    machine.succeed(f"systemctl restart {SERVICE} & systemctl restart {SERVICE}; wait $!")
    load = finish_load()
    assert load["errors"] == 0 and load["calls"] > 100, load
    assert unit("MainPID", SERVICE) != pid
    round_trip()

with subtest("calls under way end first, even those that may take longer than a stop"):
    drop_in(SERVICE, "[Service]\nTimeoutStopSec=1s\nEnvironment=OKMS_TIMEOUT=4s\n")
    machine.succeed(f"systemctl restart {SERVICE}")
    start_load(seconds=3)
    machine.succeed("systemctl kill --signal=STOP okms-mock-kms.service",
                    f"systemctl restart {SERVICE}",
                    "systemctl kill --signal=CONT okms-mock-kms.service")
    finish_load()
    journal = machine.succeed(f"journalctl --sync; journalctl --no-pager --unit={SERVICE}")
    assert "State 'stop-sigterm' timed out" not in journal, journal
    remove_drop_in(SERVICE)
    machine.succeed(f"systemctl restart {SERVICE}")
    round_trip()

with subtest("killed under load: only the calls under way fail"):
    start_load(seconds=5, clients=CLIENTS)
    restarts = int(unit("NRestarts", SERVICE))
    machine.succeed(f"systemctl kill --signal=KILL --kill-whom=main {SERVICE}")
    machine.wait_until_succeeds(
        f"[ $(systemctl show --value --property=NRestarts {SERVICE}) -eq {restarts + 1} ]")
    load = finish_load()
    # A client may begin one more call on the dead connection before it notices.
    assert 1 <= load["errors"] <= 2 * CLIENTS and load["calls"] > 100, load
    assert all(text.startswith("UNAVAILABLE") for text in load["errors_by_text"]), load
    round_trip()

with subtest("killed again and again, the socket refuses nobody"):
    start_knocking(pause=0.001)
    for _ in range(3):
        restarts = int(unit("NRestarts", SERVICE))
        machine.succeed(f"systemctl kill --signal=KILL --kill-whom=main {SERVICE}")
        machine.wait_until_succeeds(
            f"[ $(systemctl show --value --property=NRestarts {SERVICE}) -eq {restarts + 1} ]")
        machine.wait_for_unit(SERVICE)
    machine.succeed(f"systemctl restart {SERVICE}")
    knocks = stop_knocking()
    assert set(knocks) == {"connected"} and knocks["connected"] > 100, knocks
    round_trip()

with subtest("stopped again and again while clients knock, it comes back"):
    start_knocking(pause=0.001)
    # Each stop leaves connections waiting, so each brings a start at once, which may even take the
    # stop's place: then systemctl says that its job was canceled.
    machine.succeed(f"for i in $(seq 40); do systemctl stop {SERVICE} || true; done")
    knocks = stop_knocking()
    assert set(knocks) == {"connected"}, knocks
    assert unit("ActiveState", SOCKET) == "active"
    round_trip()
