# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# Another group or path of the socket, on NixOS: it restarts a changed service but no socket, so there is
# a service that takes the socket with it.
# lanes: nspawn
# units: rendered

start_all()
machine.wait_for_unit("okms-mock-kms.service")
BINDING = f"{PLUGIN}-socket-{INSTANCE}.service"
PAGES_BINDING = f"{PLUGIN}-status-socket-{INSTANCE}.service"


def owner(path: str) -> str:
    return machine.succeed(f"stat -c %U:%G {path}").strip()


with subtest("it comes with the socket"):
    round_trip()
    assert unit("ActiveState", BINDING) == "active"
    assert owner(PATH) == "root:okms-kms"

with subtest("its restart gives the socket its new group and path"):
    pid = unit("MainPID", SERVICE)
    other = PATH + ".new"
    drop_in(SOCKET, f"[Socket]\nSocketGroup=member\nListenStream=\nListenStream={other}\n")
    machine.succeed(f"systemctl restart {BINDING}")
    # systemctl does not wait for what goes with it.
    machine.wait_until_succeeds(f"test -S {other}")
    machine.wait_for_unit(SERVICE)
    assert owner(other) == "root:member"
    round_trip(other)
    machine.fail(call("status", timeout="1s"))  # systemd forgot the old path with its reload: a dead file is left
    assert unit("MainPID", SERVICE) != pid
    for name in (SOCKET, SERVICE):
        assert unit("ActiveState", name) == "active"

with subtest("a restart of the service leaves the socket"):
    before = machine.succeed(f"stat -c %i {other}")
    machine.succeed(f"systemctl restart {SERVICE}")
    round_trip(other)
    assert machine.succeed(f"stat -c %i {other}") == before

with subtest("so it is with the status pages, and the plugin's own socket stays"):
    pid = unit("MainPID", SERVICE)
    assert owner(PAGES_PATH) == "root:okms-kms"
    assert unit("ActiveState", PAGES_BINDING) == "active"
    pages = PAGES_PATH + ".new"
    drop_in(PAGES, f"[Socket]\nSocketGroup=member\nListenStream=\nListenStream={pages}\n")
    machine.succeed(f"systemctl restart {PAGES_BINDING}")
    machine.wait_until_succeeds(f"test -S {pages}")
    assert owner(pages) == "root:member"
    machine.wait_until_succeeds(f"{page('livez', path=pages)} | grep -x ok")
    machine.wait_for_unit(SERVICE)
    assert unit("MainPID", SERVICE) != pid
    round_trip(other)
    assert machine.succeed(f"stat -c %i {other}") == before
