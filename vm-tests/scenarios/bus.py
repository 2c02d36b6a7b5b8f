# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# On the system bus: everybody sees how it is, orders are root's, and nothing of it hangs on the bus.
# lanes: nspawn

OTHER = "org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager Version"

start_all()
machine.wait_for_unit("okms-mock-kms.service")
round_trip()

with subtest("it has its name, as its own user in a user namespace"):
    wait_for_journal(f"on the system bus as {bus_name_of(INSTANCE)}")
    assert unit("PrivateUsers", SERVICE) == "yes"
    assert machine.succeed(f"busctl --system status {bus_name_of(INSTANCE)} | grep ^EUID=").strip() == \
        f"EUID={machine.succeed('id -u okms-kms').strip()}"

with subtest("anybody may look"):
    wait_for_property("Ready", "b true")
    for user in ("stranger", "root"):
        shown = machine.succeed(bus("introspect", BUS_INTERFACE, user))
        for name in (".GetReport", ".Ready", ".KeyIdHash", ".ReadinessChanged"):
            assert name in shown, shown
        report = machine.succeed(bus("--json=short call", f"{BUS_INTERFACE} GetReport", user))
        assert json.loads(json.loads(report)["data"][0])["ready"] is True, report

with subtest("orders are root's"):
    for order in ("CheckNow", "Reload"):
        machine.succeed(bus("call", f"{BUS_INTERFACE} {order}"))
        assert "Access denied" in machine.fail(bus("call", f"{BUS_INTERFACE} {order} 2>&1", "stranger"))

with subtest("who is on the bus as its user reaches nobody else there"):
    machine.succeed(f"{as_user('stranger')} busctl --system get-property {OTHER}")
    assert "Access denied" in machine.fail(
        f"{as_user('okms-kms')} busctl --system get-property {OTHER} 2>&1")

with subtest("changes are told"):
    machine.succeed("systemd-run --quiet --unit=listener --property=StandardOutput=file:/run/heard "
                    f"busctl --system monitor --match=interface={BUS_INTERFACE}",
                    "systemctl stop okms-mock-kms.service")
    machine.wait_until_succeeds("grep -F ReadinessChanged /run/heard && grep -F 'BOOLEAN false' /run/heard",
                                timeout=60)
    wait_for_property("Ready", "b false")
    machine.succeed("systemctl start okms-mock-kms.service")
    wait_for_property("Ready", "b true")
    machine.wait_until_succeeds("grep -F 'BOOLEAN true' /run/heard", timeout=30)
    machine.succeed("systemctl stop listener.service")

with subtest("without the bus it goes on"):
    before = unit("MainPID", SERVICE)
    machine.succeed("systemctl kill --signal=KILL dbus.service")
    wait_for_journal("not on the system bus until the next start")
    round_trip()
    assert unit("MainPID", SERVICE) == before

with subtest("and is there again after its next start"):
    machine.succeed(f"systemctl restart {SERVICE}")
    wait_for_property("Ready", "b true")
    round_trip()

with subtest("a drop-in keeps it from the bus"):
    drop_in(SERVICE, "[Service]\nEnvironment=DBUS_SYSTEM_BUS_ADDRESS=\n")
    machine.succeed(f"systemctl restart {SERVICE}")
    round_trip()
    machine.fail(bus("get-property", f"{BUS_INTERFACE} Ready"))
    remove_drop_in(SERVICE)
