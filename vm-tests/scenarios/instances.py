# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# Several keys, or several KMSs, on one machine: instances beside each other and beside the one
# of the other scenarios.
# lanes: nspawn
# needs: instances

start_all()
machine.wait_for_unit("okms-mock-kms.service")

with subtest("enabled, they start with the machine"):
    for name in ("one", "two"):
        machine.wait_for_unit(service_of(name))
        assert unit("ActiveState", socket_of(name)) == "active"
        mode = machine.succeed(f"stat -c '%a %U:%G' {path_of(name)}").strip()
        assert mode == "660 root:okms-kms", mode

with subtest("each has its own process, key and socket"):
    paths = [PATH, path_of("one"), path_of("two")]
    for path in paths:
        round_trip(path)
    assert len({status(path)["key_id"] for path in paths}) == 3
    services = (SERVICE, service_of("one"), service_of("two"))
    assert len({unit("MainPID", name) for name in services}) == 3

with subtest("each says which one it is"):
    for name in ("one", "two"):
        wait_for_status_text(status(path_of(name))["key_id"], service_of(name))
        assert f"({name})" in unit("Description", service_of(name))

with subtest("each has a name of its own on the system bus"):
    for name in ("one", "two"):
        wait_for_property("Ready", "b true", instance=name)

if not INSTANCE:
    with subtest("that of all is the plain one's, whoever came first"):
        machine.succeed(f"systemctl restart {SERVICE}")
        machine.wait_until_succeeds(
            f"busctl --system status {BUS_INTERFACE} | grep -x PID={unit('MainPID', SERVICE)}",
            timeout=60)

with subtest("one goes, the others stay"):
    pids = [unit("MainPID", name) for name in (SERVICE, service_of("two"))]
    machine.succeed(f"systemctl stop {socket_of('one')}")
    machine.fail(f"test -e {path_of('one')}")
    for path in (PATH, path_of("two")):
        round_trip(path)
    assert pids == [unit("MainPID", name) for name in (SERVICE, service_of("two"))]

with subtest("and comes back"):
    machine.succeed(f"systemctl start {socket_of('one')}")
    round_trip(path_of("one"))
