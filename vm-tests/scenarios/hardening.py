# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# What the service cannot do: by systemd's own reckoning, by its process, and by trying it with a
# program in the plugin's place.
# lanes: nspawn qemu

# Runs as the service would, with nothing of the plugin's own sandbox. Each attempt is one that any
# user may make elsewhere.
INTRUDER = """
import errno, json, mmap, os, pathlib, socket, subprocess, sys

def write(folder):
    path = pathlib.Path(folder, "intruder")
    path.write_text("x")
    return path

def suid():
    write("/tmp").chmod(0o4755)

def netlink():
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)

def send(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        loopback = socket.inet_aton("127.0.0.1")
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, loopback)
        sender.sendto(b"x", (address, 9))

def executable_memory():
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)

attempts = {
    "write below /var": lambda: write("/var/lib/open"),
    "write below /run": lambda: write("/run/open"),
    "write below /home": lambda: write("/home/open"),
    "write to its own /tmp": lambda: write("/tmp"),
    "see the machine's /tmp": lambda: os.stat("/tmp/outside"),
    "see another process": lambda: os.stat("/proc/1"),
    "see facts of the kernel": lambda: os.stat("/proc/meminfo"),
    "see a device": lambda: os.stat("/dev/intruder"),
    "make a suid file": suid,
    "make memory executable": executable_memory,
    "speak netlink": netlink,
    "send to a neighbour": lambda: send("127.0.0.1"),
    "send to a group": lambda: send("239.255.0.1"),
    "change its scheduling": lambda: os.sched_setscheduler(
        0, os.SCHED_BATCH, os.sched_param(0)),
    "make a user namespace": lambda: subprocess.run([sys.argv[1], "--user", "true"], check=True,
                                                    stderr=subprocess.DEVNULL),
}
outcomes = {}
for name, attempt in attempts.items():
    try:
        attempt()
        outcomes[name] = "done"
    except OSError as error:
        outcomes[name] = errno.errorcode[error.errno]
    except subprocess.CalledProcessError:
        outcomes[name] = "failed"
outcomes["users that it knows"] = pathlib.Path("/proc/self/uid_map").read_text()
print(json.dumps(outcomes), flush=True)
"""


def intrude() -> dict[str, str]:
    """What happened to each attempt."""
    python, unshare = (machine.succeed(f"readlink -f $(command -v {program})").strip()
                       for program in ("python3", "unshare"))
    machine.succeed(f"printf %s {shlex.quote(INTRUDER)} > /run/intruder.py; rm -f /run/outcomes")
    drop_in(SERVICE, "[Service]\nExecStart=\n"
                     f"ExecStart={python} /run/intruder.py {unshare}\n"
                     "Type=exec\nRestart=no\nStandardOutput=file:/run/outcomes\n")
    machine.succeed(f"systemctl restart {SERVICE}")
    machine.wait_until_succeeds("test -s /run/outcomes", timeout=60)
    outcomes: dict[str, str] = json.loads(machine.succeed("cat /run/outcomes"))
    remove_drop_in(SERVICE)
    return outcomes


start_all()
machine.wait_for_unit("okms-mock-kms.service")
round_trip()

with subtest("systemd reckons that little is exposed"):
    machine.succeed(f"systemd-analyze security --no-pager --threshold=10 {SERVICE}", timeout=120)

with subtest("what the reckoning leaves out is as it should be"):
    expected = {
        "KeyringMode": "private",
        "LimitCORE": "0",
        "LimitMEMLOCK": "infinity",
        "LockPersonality": "yes",
        "MemoryMax": str(256 * 1024 * 1024),
        "MemorySwapMax": "0",
        "OOMScoreAdjust": "-900",
        "PrivateIPC": "yes",
        "PrivateMounts": "yes",
        "ProtectHostname": "yes",
        "RemoveIPC": "yes",
        "Restart": "always",
        "SocketBindDeny": "any",
        "SystemCallErrorNumber": "1",  # EPERM
        "TasksMax": "128",
        "UMask": "0077",
        "WatchdogSignal": "9",
    }
    properties = machine.get_unit_info(SERVICE)
    found = {name: properties.get(name) for name in expected}
    assert found == expected, found

with subtest("it runs as its user, without capabilities, behind filters"):
    pid = unit("MainPID", SERVICE)
    lines = dict(line.split(":", 1) for line in
                 machine.succeed(f"cat /proc/{pid}/status").splitlines() if ":" in line)
    user = machine.succeed("id -u okms-kms").strip()
    assert lines["Uid"].split() == [user] * 4, lines["Uid"]
    for sets in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(lines[sets], 16) == 0, (sets, lines[sets])
    assert lines["NoNewPrivs"].strip() == "1"
    assert lines["Seccomp"].strip() == "2"
    # systemd's filters and our own, which came last.
    assert int(lines["Seccomp_filters"]) >= 2, lines["Seccomp_filters"]
    limits = machine.succeed(f"grep -E 'core file|Max file size' /proc/{pid}/limits")
    assert all(line.split()[-3:-1] == ["0", "0"] for line in limits.splitlines()), limits

with subtest("it keeps no file open, its key least of all"):
    files = machine.succeed(f"find /proc/{pid}/fd -type l -printf '%l\\n'").splitlines()
    kinds = {name.split(":")[0] for name in files}
    assert "socket" in kinds and kinds <= {"socket", "anon_inode", "pipe", "/dev/null", PATH}, files
    # That one is no more than a name (O_PATH), by which its removal is noticed.
    for fd in machine.succeed(f"find /proc/{pid}/fd -lname {PATH} -printf '%f\\n'").split():
        flags = machine.succeed(f"awk '/^flags:/ {{print $2}}' /proc/{pid}/fdinfo/{fd}").strip()
        assert int(flags, 8) & 0o10000000, flags

with subtest("nobody else reads its key"):
    key = f"/run/credentials/{SERVICE}/client-key"
    machine.succeed(f"grep -F 'PRIVATE KEY' {key}")
    for name in ("stranger", "member"):
        machine.fail(f"{as_user(name)} cat {key}")

with subtest("in its place, an intruder gets nowhere"):
    machine.succeed("mkdir -p /home; mkdir -m 1777 /var/lib/open /run/open /home/open",
                    "touch /tmp/outside", "mknod -m 666 /dev/intruder c 1 3")
    outcomes = intrude()
    # Itself and root, one each.
    known = outcomes.pop("users that it knows").split()
    assert known == ["0", "0", "1", user, user, "1"], known
    assert outcomes.pop("make memory executable") in ("EPERM", "EACCES")  # as systemd is old or new
    assert outcomes == {
        "write below /var": "EROFS",
        "write below /run": "EROFS",
        "write below /home": "EACCES",
        "write to its own /tmp": "done",
        "see the machine's /tmp": "ENOENT",
        "see another process": "ENOENT",
        "see facts of the kernel": "ENOENT",
        "see a device": "ENOENT",
        "make a suid file": "EPERM",
        "speak netlink": "EAFNOSUPPORT",
        "send to a neighbour": "done",
        "send to a group": "EPERM",
        "change its scheduling": "EPERM",
        "make a user namespace": "failed",
    }, outcomes

with subtest("and the plugin is back after him"):
    machine.succeed(f"systemctl restart {SERVICE}")
    round_trip()
