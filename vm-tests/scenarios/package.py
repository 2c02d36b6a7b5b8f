# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# The package, on a Debian that has nothing but what it depends on: it installs, serves, is upgraded
# without the loss of a call, and goes without the administrator's files.
# lanes: package

start_all()
machine.wait_for_unit("okms-mock-kms.service")
CONTROL = "okms-kms-ctl"
CONFORMANCE = "okms-kms-conformance"
FOLDER = f"/etc/{PLUGIN}"
PKI = "/var/lib/okms-mock-kms/pki"
OKMS_ID = "3f0c7a52-9d1e-4b68-8c35-e2a4617bd90f"  # the mock's
KEY_ID = "70001308-5674-43fe-93dd-6270ecac0710"
# By version: the first to install, the second to upgrade to.
FIRST, SECOND = machine.succeed("ls -v /srv/packages/*.deb").split()
INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends"


def version() -> str:
    return machine.succeed(f"dpkg-query --show --showformat='${{Version}}' {PLUGIN}")


def enabled_links() -> list[str]:
    return machine.succeed(f"find /etc/systemd/system -name '{PLUGIN}*'").split()


def processes() -> list[str]:
    return machine.succeed(f"readlink /proc/[0-9]*/exe | grep -F /{PLUGIN} || true").split()


def nothing_runs() -> None:
    for what in (SOCKET, SERVICE):
        assert unit("ActiveState", what) == "inactive", what
        assert unit("NRestarts", what) in ("", "0"), what
    assert enabled_links() == []
    machine.fail(f"test -e {PATH}")


def configure(**variables: str) -> None:
    lines = "".join(f"OKMS_{name}={value}\n" for name, value in variables.items())
    machine.succeed(f"printf %s {shlex.quote(lines)} > /root/environment",
                    f"cd {PKI}; install -m 600 client.pem client.key /root/environment {FOLDER}/")


with subtest("it installs with what it depends on, and neither starts nor is enabled"):
    machine.fail(f"dpkg-query --show {PLUGIN}")
    machine.succeed(f"{INSTALL} {FIRST}")
    nothing_runs()
    assert machine.succeed(f"stat -c '%a %U:%G' {FOLDER}").strip() == "755 root:root"
    assert machine.succeed(f"ls -A {FOLDER}") == ""
    assert "nologin" in machine.succeed("getent passwd okms-kms")
    machine.succeed("getent group okms-kms", f"{PLUGIN} --version")

with subtest("what it brings is in place"):
    machine.succeed(f"dpkg --verify {PLUGIN}", "dpkg --audit")
    kinds = (".socket", ".service", "-alarm.timer", "-alarm.service", "-renew.path", "-renew.timer",
             "-renew.service", "-status.socket")
    units = " ".join(PLUGIN + kind.replace(".", f"{instance}.")
                     for instance in ("", "@one") for kind in kinds)
    said = machine.succeed(f"systemd-analyze verify --man=no {units} 2>&1")
    assert said == "", said
    for program in (PLUGIN, CONFORMANCE, CONTROL):
        machine.succeed(f"gunzip --stdout /usr/share/man/man8/{program}.8.gz | grep {program}",
                        f"bash -n /usr/share/bash-completion/completions/{program}",
                        f"test -s /usr/share/zsh/vendor-completions/_{program}",
                        f"test -s /usr/share/fish/vendor_completions.d/{program}.fish")
    machine.succeed(f"gunzip --stdout /usr/share/man/man8/{PLUGIN}.8.gz | grep LoadCredential",
                    f"test -s /usr/share/doc/{PLUGIN}/alerts.md",
                    f"test -s /usr/share/doc/{PLUGIN}/conformance.md",
                    f"test -s /usr/share/doc/{PLUGIN}/operations.md",
                    f"test -s /usr/share/{PLUGIN}/alerts.yaml",
                    f"test -s /usr/share/{PLUGIN}/dashboard.json", f"{CONTROL} --version",
                    f"{CONFORMANCE} --version")
    # Nothing runs yet, which it says.
    assert "systemctl status" in machine.fail(f"{CONTROL} status 2>&1")
    assert machine.succeed(f"dpkg --listfiles {PLUGIN} | grep -E 'mock|call|bench' || true") == ""

with subtest("installed again without a configuration, it still does not start"):
    machine.succeed(f"{INSTALL} --reinstall {FIRST}")
    nothing_runs()

# As the manual page tells to.
CHECK = ("systemd-run --pipe --wait --quiet "
         f"--property=EnvironmentFile={FOLDER}/environment "
         f"--property=LoadCredential=client-cert:{FOLDER}/client.pem "
         f"--property=LoadCredential=client-key:{FOLDER}/client.key {PLUGIN} --check-config")

with subtest("a configuration can be checked beforehand"):
    configure(PROTOCOL="kmip", SERV_ADDR="localhost", KEY_ID=KEY_ID)
    assert "--serv-addr" in machine.fail(f"{CHECK} 2>&1")
    configure(PROTOCOL="kmip", SERV_ADDR="localhost:5696", KEY_ID=KEY_ID)
    # This machine has no roots of a system's: the KMS's own CA is needed.
    assert "--ca" in machine.fail(f"{CHECK} 2>&1")
    machine.succeed(CHECK.replace(
        f"{PLUGIN} --check-config",
        f"--property=LoadCredential=ca:{PKI}/ca.pem {PLUGIN} --check-config"))

with subtest("configured and enabled as the README says, it serves over KMIP"):
    machine.succeed("mkdir -p /etc/credstore",
                    f"install -m 600 {PKI}/ca.pem /etc/credstore/{PLUGIN}.ca",
                    f"systemctl enable --now {SERVICE}")
    round_trip()
    wait_for_status_text("serving")
    record = encrypt()
    assert machine.succeed(f"{CONTROL} status --wait --brief").startswith("ready, key sha256:")

with subtest("it is on the system bus, which has heard of its new user"):
    wait_for_property("Ready", "b true")
    assert "Access denied" in machine.fail(
        f"setpriv --reuid=nobody --clear-groups {bus('call', f'{BUS_INTERFACE} CheckNow')} 2>&1")
    machine.succeed(f"test -s /usr/share/dbus-1/interfaces/{BUS_INTERFACE}.xml")

with subtest("a renewal that is broken is refused, and mended without a hand on any unit"):
    process = unit("MainPID", SERVICE)
    machine.succeed(f"echo > {FOLDER}/client.pem")
    wait_for_journal("not renewed, the files in use stay in use", service=RENEW)
    machine.wait_until_succeeds(f"systemctl is-failed {RENEW}")
    round_trip()
    machine.succeed(f"install -m 600 {PKI}/client.pem {FOLDER}/")
    machine.wait_until_fails(f"systemctl is-failed {RENEW}")
    assert unit("MainPID", SERVICE) == process

with subtest("and over REST"):
    configure(PROTOCOL="rest", SERV_ADDR="https://localhost:8443", KEY_ID=KEY_ID, ID=OKMS_ID)
    machine.succeed("systemctl restart " + SERVICE)
    wait_for_status_text("serving")
    round_trip()
    configure(PROTOCOL="kmip", SERV_ADDR="localhost:5696", KEY_ID=KEY_ID)
    machine.succeed("systemctl restart " + SERVICE)

with subtest("an upgrade under load loses no call"):
    process, socket = unit("MainPID", SERVICE), unit("ActiveEnterTimestampMonotonic", SOCKET)
    before = version()
    start_load(seconds=6)
    machine.succeed(f"dpkg --install {SECOND}")
    assert version() != before
    assert unit("MainPID", SERVICE) != process
    load = finish_load()
    assert load["errors"] == 0 and load["calls"] > 100, load
    # The new program runs, and the socket was open all the while.
    assert "deleted" not in machine.succeed(f"readlink /proc/{unit('MainPID', SERVICE)}/exe")
    assert unit("ActiveEnterTimestampMonotonic", SOCKET) == socket
    assert unit("NeedDaemonReload", SERVICE) == "no"
    assert SEED in machine.succeed(decrypt_command(record))

with subtest("a wrong configuration spoils no change of versions, and needs but to be corrected"):
    configure(PROTOCOL="smtp", SERV_ADDR="localhost:5696", KEY_ID=KEY_ID)
    machine.succeed(f"dpkg --install {FIRST}")
    assert version() == before
    wait_for_journal("--protocol smtp: no such protocol")
    configure(PROTOCOL="kmip", SERV_ADDR="localhost:5696", KEY_ID=KEY_ID)
    round_trip()

with subtest("a change of versions starts nothing that was stopped"):
    machine.succeed(f"systemctl stop {SOCKET} {SERVICE}", f"dpkg --install {SECOND}")
    assert unit("ActiveState", SERVICE) == "inactive"
    assert unit("ActiveState", SOCKET) == "inactive"
    assert enabled_links() != []

with subtest("and restarts instances too"):
    machine.succeed(f"install -d {FOLDER}/one", f"cp -p {FOLDER}/client.* {FOLDER}/environment {FOLDER}/one/",
                    f"cp -p /etc/credstore/{PLUGIN}.ca /etc/credstore/{PLUGIN}@one.ca",
                    f"systemctl enable --now {PLUGIN}@one.service {SERVICE}")
    one = f"/run/{PLUGIN}/one/kms.sock"
    round_trip(one)
    process = unit("MainPID", f"{PLUGIN}@one.service")
    machine.succeed(f"dpkg --install {FIRST}")
    assert unit("MainPID", f"{PLUGIN}@one.service") != process
    round_trip(one)

with subtest("removed, it is stopped and disabled, with its socket"):
    round_trip()
    assert len(processes()) == 2
    machine.succeed(f"dpkg --remove {PLUGIN}")
    nothing_runs()
    machine.fail(f"test -e {one}")
    # The alarm looks once more, and finds nothing.
    machine.wait_until_succeeds(f"[ -z \"$(systemctl list-units --all --no-legend '{PLUGIN}*')\" ]")
    assert machine.succeed(f"systemctl list-unit-files --no-legend '{PLUGIN}*' || true").strip() == ""
    assert processes() == []
    machine.succeed(f"test -s {FOLDER}/client.key", f"test -s {FOLDER}/one/client.key")

with subtest("purged, it leaves the administrator's files, and says so"):
    said = machine.succeed(f"dpkg --purge {PLUGIN} 2>&1")
    assert f"{FOLDER} is not empty and stays" in said, said
    machine.succeed(f"cmp {PKI}/client.key {FOLDER}/client.key", f"test -s {FOLDER}/environment",
                    "getent passwd okms-kms")
    machine.fail(f"dpkg-query --show {PLUGIN}")
    machine.fail(f"command -v {CONTROL}")
    assert machine.succeed(f"find / -xdev -name '*{PLUGIN}*' -not -path '/srv/*' "
                           f"-not -path '{FOLDER}*' -not -path '/etc/credstore/*' "
                           "-not -path '/proc/*' -not -path '/sys/*'") == ""

with subtest("installed again, it serves with the files that were kept"):
    machine.succeed(f"dpkg --install {SECOND}")
    nothing_runs()
    machine.succeed(f"systemctl enable --now {SERVICE}")
    assert SEED in machine.succeed(decrypt_command(record))

with subtest("purged without any files of the administrator's, its folder goes too"):
    machine.succeed(f"rm -r {FOLDER}/*")
    said = machine.succeed(f"apt-get purge --yes {PLUGIN} 2>&1")
    assert "stays" not in said, said
    machine.fail(f"test -e {FOLDER}")
