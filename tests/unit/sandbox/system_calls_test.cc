// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The list itself, by the numbers that the kernel goes by: two names may have one number.

#include "sandbox/system_calls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <seccomp.h>

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace okms::sandbox {
namespace {

using ::testing::IsEmpty;
using ::testing::Not;

constexpr std::size_t kMostCalls = 52;

// No matter with which arguments: whoever adds one of them has to take it from this list, too.
const std::vector<const char*>& NeverAllowed() {
  static const std::vector<const char*> names = {
      // Programs and processes.
      "execve", "execveat", "fork", "vfork", "wait4", "waitid", "kill", "tkill", "rt_sigqueueinfo",
      "rt_tgsigqueueinfo", "pidfd_open", "pidfd_getfd", "pidfd_send_signal", "setpgid", "setsid",
      "setpriority", "sched_setaffinity", "sched_setscheduler", "sched_setparam", "prlimit64",
      "setrlimit", "personality", "arch_prctl",
      // Other processes' memory, and the kernel's own machinery.
      "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "bpf",
      "io_uring_setup", "io_uring_enter", "io_uring_register", "io_setup", "io_submit",
      "perf_event_open", "userfaultfd", "seccomp", "keyctl", "add_key", "request_key",
      "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot",
      "syslog", "acct", "swapon", "swapoff", "quotactl", "sethostname", "setdomainname",
      "settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "iopl", "ioperm", "modify_ldt",
      "lookup_dcookie", "vhangup", "landlock_create_ruleset", "landlock_add_rule",
      "landlock_restrict_self",
      // Mounts and namespaces.
      "mount", "umount2", "mount_setattr", "move_mount", "open_tree", "fsopen", "fsconfig",
      "fsmount", "fspick", "unshare", "setns", "pivot_root", "chroot", "name_to_handle_at",
      "open_by_handle_at",
      // Who we are.
      "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid", "setfsgid",
      "setgroups", "capset",
      // Files: all that changes one, or opens one whose flags a filter cannot see.
      "open", "openat2", "creat", "unlink", "unlinkat", "rmdir", "rename", "renameat", "renameat2",
      "link", "linkat", "symlink", "symlinkat", "mkdir", "mkdirat", "mknod", "mknodat", "truncate",
      "ftruncate", "fallocate", "chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown",
      "fchownat", "utime", "utimes", "utimensat", "setxattr", "lsetxattr", "fsetxattr",
      "removexattr", "getdents", "getdents64", "inotify_init", "inotify_init1", "inotify_add_watch",
      "fanotify_init", "fanotify_mark", "sync", "fsync", "sendfile", "splice", "copy_file_range",
      "memfd_create", "memfd_secret",
      // Sockets.
      "bind", "listen", "socketpair", "accept",
      // Memory.
      "pkey_mprotect", "remap_file_pages", "munlockall", "munlock", "shmget", "shmat", "msgget",
      "semget", "mq_open"};
  return names;
}

int Number(const char* name) {
  const int number = ::seccomp_syscall_resolve_name(name);
  EXPECT_NE(number, __NR_SCMP_ERROR) << "there is no system call " << name;
  return number;
}

// The one that counts on this architecture; negative: none.
int Number(const AllowedCall& call) {
  const int number = Number(call.name);
  return number < 0 && call.other_name != nullptr ? Number(call.other_name) : number;
}

std::set<int> AllowedNumbers() {
  std::set<int> numbers;
  for (const AllowedCall& call : AllowedCalls()) {
    if (Number(call) >= 0) numbers.insert(Number(call));
  }
  return numbers;
}

TEST(SystemCalls, AreFew) { EXPECT_LE(AllowedNumbers().size(), kMostCalls); }

TEST(SystemCalls, NoneIsAllowedThatMustNeverBe) {
  const std::set<int> allowed = AllowedNumbers();
  for (const char* const name : NeverAllowed())
    EXPECT_FALSE(allowed.contains(Number(name))) << name;
}

TEST(SystemCalls, EachHasAReason) {
  for (const AllowedCall& call : AllowedCalls()) EXPECT_STRNE(call.reason, "") << call.name;
  for (const RefusedCall& call : RefusedCalls()) EXPECT_STRNE(call.reason, "") << call.name;
}

TEST(SystemCalls, EachRowSaysSomethingNew) {
  using Condition = std::tuple<unsigned, uint64_t, uint64_t>;
  std::map<int, std::set<std::set<Condition>>> rows;
  for (const AllowedCall& call : AllowedCalls()) {
    std::set<Condition> conditions;
    for (const Argument& argument : call.arguments) {
      conditions.insert({argument.index, argument.mask, argument.value});
    }
    // fstat comes twice by design: under its name, and for want of newfstatat.
    if (Number(call.name) < 0) continue;
    EXPECT_EQ(conditions.size(), call.arguments.size()) << call.name;
    EXPECT_TRUE(rows[Number(call)].insert(conditions).second) << call.name << " is there twice";
  }
  for (const auto& [number, alternatives] : rows) {
    if (alternatives.size() == 1) continue;
    EXPECT_THAT(alternatives, Not(testing::Contains(IsEmpty())))
        << "call " << number << " is allowed without conditions, and again with some";
  }
}

TEST(SystemCalls, ConditionsCanBeMet) {
  for (const AllowedCall& call : AllowedCalls()) {
    for (const Argument& argument : call.arguments) {
      EXPECT_LT(argument.index, 6U) << call.name;
      EXPECT_NE(argument.mask, 0U) << call.name << ": no condition";
      EXPECT_EQ(argument.value & ~argument.mask, 0U) << call.name << ": never met";
      // All that we look at are ints, whose upper half the kernel ignores.
      EXPECT_EQ(argument.mask >> 32U, 0U) << call.name;
    }
  }
}

// Whether no call fits both.
bool Exclude(const std::vector<Argument>& some, const std::vector<Argument>& others) {
  for (const Argument& one : some) {
    for (const Argument& other : others) {
      const uint64_t both = one.mask & other.mask;
      if (one.index == other.index && (one.value & both) != (other.value & both)) return true;
    }
  }
  return false;
}

TEST(SystemCalls, RefusedOnesAreNotAllowed) {
  std::set<int> refused;
  for (const RefusedCall& call : RefusedCalls()) {
    EXPECT_TRUE(refused.insert(Number(call.name)).second) << call.name << " is there twice";
    EXPECT_GT(call.error, 0) << call.name;
    for (const AllowedCall& other : AllowedCalls()) {
      if (Number(other) != Number(call.name)) continue;
      EXPECT_TRUE(Exclude(call.arguments, other.arguments)) << call.name;
    }
  }
}

}  // namespace
}  // namespace okms::sandbox
