# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# Another /etc is mounted over that of the start, as a new generation of a system may do: the plugin
# says so, ends, and serves again in a process that sees it. The socket refuses nobody meanwhile.
# lanes: nspawn

start_all()
machine.wait_for_unit("okms-mock-kms.service")
round_trip()
record = encrypt()

with subtest("a file of /etc that is replaced changes nothing"):
    pid = unit("MainPID", SERVICE)
    machine.succeed("cp -p /etc/hosts /etc/hosts.new", "mv /etc/hosts.new /etc/hosts")
    round_trip()

with subtest("/etc itself is replaced: one line, and a new process"):
    restarts = int(unit("NRestarts", SERVICE))
    start_knocking(pause=0.1)
    machine.succeed("cp -a /etc /run/other-etc", "mount --bind /run/other-etc /etc")
    machine.wait_until_succeeds(
        f"[ $(systemctl show --value --property=NRestarts {SERVICE}) -eq {restarts + 1} ]",
        timeout=60)
    wait_for_journal("out of the sandbox's reach: this machine's /etc")
    machine.wait_for_unit(SERVICE)
    knocks = stop_knocking()
    assert set(knocks) == {"connected"}, knocks
    lines = machine.succeed(
        f"journalctl --no-pager --output=cat --unit={SERVICE} | grep -F 'out of the sandbox'")
    assert len(lines.splitlines()) == 1, lines

with subtest("it serves, and goes on to serve"):
    assert unit("MainPID", SERVICE) != pid
    round_trip()
    machine.succeed(decrypt_command(record))
    machine.succeed("systemctl stop okms-mock-kms.service", "systemctl start okms-mock-kms.service")
    machine.wait_until_succeeds(call("status"), timeout=30)
    round_trip()
    assert int(unit("NRestarts", SERVICE)) == restarts + 1
