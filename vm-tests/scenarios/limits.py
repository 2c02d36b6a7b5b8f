# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# What only a kernel of its own can show: limits that a container cannot set, and what the sandbox
# makes of an older kernel.
# lanes: qemu
# units: installed

start_all()
machine.wait_for_unit("okms-mock-kms.service")
round_trip()
MIB = 1024 * 1024


def cgroup(what: str) -> str:
    group = unit("ControlGroup", SERVICE)
    return machine.succeed(f"cat /sys/fs/cgroup{group}/{what}").strip()


def field(name: str) -> int:
    pid = unit("MainPID", SERVICE)
    return int(machine.succeed(f"grep ^{name}: /proc/{pid}/status").split()[1])


with subtest("its memory is locked, far below the limit"):
    assert field("VmLck") > 0
    assert field("VmSwap") == 0
    used = int(cgroup("memory.current"))
    assert used < 128 * MIB, used
    machine.log(f"locked {field('VmLck')} kB, in use {used // MIB} MiB, "
        f"{cgroup('pids.current')} threads")

with subtest("the kernel has its limits"):
    assert cgroup("memory.max") == str(256 * MIB)
    assert cgroup("memory.swap.max") == "0"
    assert cgroup("pids.max") == "128"
    pid = unit("MainPID", SERVICE)
    assert machine.succeed(f"cat /proc/{pid}/oom_score_adj").strip() == "-900"

with subtest("the log tells how far the kernel's Landlock goes"):
    wait_for_journal("Landlock ABI 2")

with subtest("with too little memory it is killed, and with enough it comes back by itself"):
    drop_in(SERVICE, "[Service]\nMemoryMax=2M\n")
    machine.fail(f"systemctl restart {SERVICE}")
    wait_for_journal("Failed with result 'oom-kill'")
    remove_drop_in(SERVICE)
    machine.wait_for_unit(SERVICE, timeout=120)
    round_trip()

with subtest("with too few tasks it says so, and with enough it serves again"):
    drop_in(SERVICE, "[Service]\nTasksMax=2\n")
    machine.fail(f"systemctl restart {SERVICE}")
    wait_for_journal("no room for the 40 threads that may be needed")
    remove_drop_in(SERVICE)
    machine.wait_for_unit(SERVICE, timeout=120)
    round_trip()
