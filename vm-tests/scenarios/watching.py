# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# Status pages: not there before they are asked for, and then for root and the group. They come and go
# with the service, so that whoever looks starts nothing that was stopped.
# lanes: nspawn

start_all()
machine.wait_for_unit("okms-mock-kms.service")

with subtest("they are not there before the service is"):
    machine.fail(f"test -e {PAGES_PATH}")
    assert unit("ActiveState", PAGES) == "inactive"
    round_trip()

if not INSTANCE:  # the module enables them
    with subtest("they are not there by default"):
        machine.fail(f"test -e {PAGES_PATH}")
        assert unit("ActiveState", PAGES) == "inactive"
        machine.succeed(f"systemctl enable {PAGES}", f"systemctl restart {SERVICE}")

with subtest("enabled, they come with the next start of the service"):
    assert unit("ActiveState", PAGES) == "active"
    assert machine.succeed(f"stat -c '%a %U:%G' {PAGES_PATH}").strip() == "660 root:okms-kms"
    assert machine.succeed(page("livez")) == "ok\n"
    machine.wait_until_succeeds(f"{page('readyz')} | grep '^{{\"ready\":true,'", timeout=30)
    round_trip()

with subtest("a member of the group may look, a stranger may not"):
    assert machine.succeed(page("livez", user="member")) == "ok\n"
    machine.fail(page("livez", user="stranger"))

with subtest("another group may be let in, without a place in the plugin's"):
    drop_in(PAGES, "[Socket]\nSocketGroup=stranger\n")
    machine.succeed(f"systemctl stop {SERVICE}", f"systemctl start {SERVICE}")
    assert machine.succeed(page("livez", user="stranger")) == "ok\n"
    machine.fail(page("livez", user="member"))
    remove_drop_in(PAGES)

with subtest("an address, which systemd binds"):
    drop_in(PAGES, "[Socket]\nListenStream=\nListenStream=127.0.0.1:9440\n")
    machine.succeed(f"systemctl stop {SERVICE}", f"systemctl start {SERVICE}")
    assert machine.succeed(f"{as_user('stranger')} curl --silent --max-time 20 "
                           "http://127.0.0.1:9440/livez") == "ok\n"
    wait_for_journal("can be read by every user of this machine")
    remove_drop_in(PAGES)

with subtest("without the KMS they say so"):
    machine.succeed(f"systemctl stop {SERVICE}", f"systemctl start {SERVICE}",
                    "systemctl stop okms-mock-kms.service")
    machine.wait_until_succeeds(f"{page('readyz')} | grep '^{{\"ready\":false,\"reason\":\"[^\"]'",
                                timeout=60)
    assert machine.succeed(page("livez")) == "ok\n"
    machine.succeed("systemctl start okms-mock-kms.service")
    machine.wait_until_succeeds(f"{page('readyz')} | grep '^{{\"ready\":true,'", timeout=60)

with subtest("who looks during a restart waits; after a crash they come back"):
    before = unit("MainPID", SERVICE)
    machine.succeed(f"systemctl restart --no-block {SERVICE}")
    for _ in range(10):
        assert machine.succeed(page("livez")) == "ok\n"
    machine.wait_until_succeeds(f"[ $(systemctl show --value --property=MainPID {SERVICE}) != {before} ]",
                                timeout=30)
    assert machine.succeed(page("livez")) == "ok\n"
    before = unit("MainPID", SERVICE)
    machine.succeed(f"systemctl kill --signal=KILL {SERVICE}")
    machine.wait_until_succeeds(page("livez"), timeout=30)
    assert unit("MainPID", SERVICE) != before

with subtest("they go with the service, and start nothing"):
    machine.succeed(f"systemctl stop {SOCKET} {SERVICE}")
    machine.fail(page("livez"))
    assert unit("ActiveState", PAGES) == "inactive"
    assert unit("ActiveState", SERVICE) == "inactive"
    machine.succeed(f"systemctl start {SERVICE}")
    assert machine.succeed(page("livez")) == "ok\n"
    round_trip()
