# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# The socket is there from the start; the first connection starts the service.
# lanes: nspawn qemu

start_all()
machine.wait_for_unit("multi-user.target")
machine.wait_for_unit("okms-mock-kms.service")

with subtest("the socket is there and nothing runs yet"):
    assert unit("ActiveState", SOCKET) == "active"
    assert unit("ActiveState", SERVICE) == "inactive"
    assert machine.succeed(f"stat -c '%a %U %G %F' {PATH}").strip() == "660 root okms-kms socket"

with subtest("the first call starts the service and is answered"):
    reply = status()
    assert reply["healthz"] == "ok" and reply["version"] == "v2", reply
    assert reply["key_id"], reply
    machine.wait_for_unit(SERVICE)
    round_trip()

with subtest("systemctl status tells that it serves, and with which key"):
    wait_for_status_text(reply["key_id"])
    assert "serving" in status_text(), status_text()
    assert unit("NRestarts", SERVICE) == "0"

with subtest("stopped, the next connection starts it again"):
    machine.succeed(f"systemctl stop {SERVICE}")
    assert unit("ActiveState", SOCKET) == "active"
    round_trip()
    assert unit("ActiveState", SERVICE) == "active"
    assert unit("Result", SERVICE) == "success"

with subtest("a stopped socket leaves no file behind, and starts again"):
    machine.succeed(f"systemctl stop {SOCKET}")
    machine.fail(f"test -e {PATH}")
    machine.wait_until_succeeds(
        f"[ $(systemctl show --value --property=ActiveState {SERVICE}) = inactive ]", timeout=30)
    machine.succeed(f"systemctl start {SOCKET}")
    round_trip()
