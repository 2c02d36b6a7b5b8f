// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// One forbidden action a test, made by the real kernel under the real sandbox, in the thread that
// loaded the filter, one that was there before, and one that came later: each ends the process.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <ostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "unit/sandbox/child.h"
#include "unit/sandbox/enter.h"
#include "unit/sandbox/sockets.h"

namespace okms::test {
namespace {

constexpr char kAlive[] = "alive;";
constexpr int kX32 = 0x4000'0000;

void Say(const std::string& text) {
  if (::write(STDOUT_FILENO, text.data(), text.size()) < 0) ::_exit(9);
}

struct Forbidden {
  const char* name;
  long (*act)();
};

void PrintTo(const Forbidden& forbidden, std::ostream* out) { *out << forbidden.name; }

const char* const kNothing[] = {nullptr};

long Open(int flags) { return ::syscall(SYS_openat, AT_FDCWD, "/dev/null", flags, 0600); }
long Socket(int family, int type, int protocol) {
  return ::syscall(SYS_socket, family, type, protocol);
}

// By number, so that no library does something else instead.
const Forbidden kForbidden[] = {
    {"RunsAProgram", [] { return ::syscall(SYS_execve, "/bin/true", kNothing, kNothing); }},
    {"RunsAProgramByDescriptor",
     [] { return ::syscall(SYS_execveat, 0, "", kNothing, kNothing, AT_EMPTY_PATH); }},
#ifdef SYS_fork
    {"Forks", [] { return ::syscall(SYS_fork); }},
#endif
    {"ForksByClone", [] { return ::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); }},
    {"MakesAUserNamespace",
     [] { return ::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0); }},
    {"Unshares", [] { return ::syscall(SYS_unshare, CLONE_NEWUSER); }},
    {"EntersANamespace", [] { return ::syscall(SYS_setns, 0, 0); }},
    {"Mounts", [] { return ::syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, nullptr); }},
    {"ChangesTheRoot", [] { return ::syscall(SYS_chroot, "/"); }},
    {"Traces", [] { return ::syscall(SYS_ptrace, PTRACE_SEIZE, 0, 0, 0); }},
    {"ReadsAnothersMemory",
     [] { return ::syscall(SYS_process_vm_readv, ::getpid(), nullptr, 0, nullptr, 0, 0); }},
    {"LoadsBpf", [] { return ::syscall(SYS_bpf, 0, nullptr, 0); }},
    {"UsesIoUring", [] { return ::syscall(SYS_io_uring_setup, 1, nullptr); }},
    {"UsesKeys", [] { return ::syscall(SYS_keyctl, 0, 0, 0, 0, 0); }},
    {"AddsAKey", [] { return ::syscall(SYS_add_key, "user", "a", "b", 1, -1); }},
    {"CountsEvents", [] { return ::syscall(SYS_perf_event_open, nullptr, 0, 0, 0, 0); }},
    {"HandlesPageFaults", [] { return ::syscall(SYS_userfaultfd, 0); }},
    {"MakesAFileOfMemory", [] { return ::syscall(SYS_memfd_create, "name", 0); }},
    {"OpensForWriting", [] { return Open(O_WRONLY); }},
    {"OpensForReadingAndWriting", [] { return Open(O_RDWR); }},
    {"Creates", [] { return Open(O_RDONLY | O_CREAT); }},
    {"TruncatesByOpening", [] { return Open(O_RDONLY | O_TRUNC); }},
    {"Appends", [] { return Open(O_RDONLY | O_APPEND); }},
    {"MakesAFileWithoutAName",
     [] { return ::syscall(SYS_openat, AT_FDCWD, "/tmp", O_TMPFILE | O_RDWR, 0600); }},
    {"OpensByOpenat2", [] { return ::syscall(SYS_openat2, AT_FDCWD, "/dev/null", nullptr, 0); }},
    {"Truncates", [] { return ::syscall(SYS_truncate, "/dev/null", 0); }},
    {"Unlinks", [] { return ::syscall(SYS_unlinkat, AT_FDCWD, "/okms-no-such-file", 0); }},
    {"Renames",
     [] { return ::syscall(SYS_renameat2, AT_FDCWD, "/okms-none", AT_FDCWD, "/okms-no", 0); }},
    {"ChangesAMode", [] { return ::syscall(SYS_fchmod, 0, 0); }},
    {"MapsCode",
     [] {
       return ::syscall(SYS_mmap, nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
     }},
    {"MakesMemoryCode",
     [] {
       void* const page =
           ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
       return ::syscall(SYS_mprotect, page, 4096, PROT_READ | PROT_EXEC);
     }},
    {"ConnectsToDaemons", [] { return Socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); }},
    {"UsesNetlink", [] { return Socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE); }},
    {"SeesPackets", [] { return Socket(AF_PACKET, SOCK_RAW, 0); }},
    {"MakesPackets", [] { return Socket(AF_INET, SOCK_RAW, IPPROTO_ICMP); }},
    {"UsesTheKernelsCiphers", [] { return Socket(AF_ALG, SOCK_SEQPACKET, 0); }},
    {"Binds",
     [] {
       const sockaddr_in any = Loopback(0);
       const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
       return ::syscall(SYS_bind, fd.get(), &any, sizeof any);
     }},
    {"Listens",
     [] {
       const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
       return ::syscall(SYS_listen, fd.get(), 8);
     }},
    {"BecomesDumpable", [] { return ::syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0); }},
    {"LetsItselfBeTraced", [] { return ::syscall(SYS_prctl, PR_SET_PTRACER, -1, 0, 0, 0); }},
    {"LoadsAnotherFilter", [] { return ::syscall(SYS_seccomp, 1, 0, nullptr); }},
    {"Kills", [] { return ::syscall(SYS_kill, ::getpid(), 0); }},
    {"KillsAThread", [] { return ::syscall(SYS_tgkill, ::getpid(), ::gettid(), SIGKILL); }},
    {"BecomesRoot", [] { return ::syscall(SYS_setuid, 0); }},
    {"TakesCapabilities", [] { return ::syscall(SYS_capset, nullptr, nullptr); }},
    {"RaisesItsLimits", [] { return ::syscall(SYS_prlimit64, 0, 0, nullptr, nullptr); }},
    {"MakesACallThatIsNone", [] { return ::syscall(1023); }},
#ifdef __x86_64__
    {"OpensByTheOldCall", [] { return ::syscall(SYS_open, "/dev/null", O_RDONLY); }},
    {"MakesACallOfX32", [] { return ::syscall(kX32 | SYS_getpid); }},
#endif
};

class DeathTest : public ::testing::TestWithParam<Forbidden> {};

TEST_P(DeathTest, EndsTheProcess) {
  for (const Actor actor : {Actor::kLoader, Actor::kOlder, Actor::kYounger}) {
    SCOPED_TRACE(absl::StrCat("actor ", static_cast<int>(actor)));
    const Ended ended = RunInChild([&] {
      ActInSandbox({.files = {"/dev/null"}, .tcp_ports = {}}, actor, [] {
        Say(kAlive);
        const long result = GetParam().act();
        Say(absl::StrCat(" and still: the call returned ", result, ", error ", errno));
      });
    });
    EXPECT_EQ(ended.status, -SIGSYS);
    EXPECT_EQ(ended.said, kAlive);
  }
}

INSTANTIATE_TEST_SUITE_P(, DeathTest, ::testing::ValuesIn(kForbidden),
                         [](const auto& parameter) { return std::string(parameter.param.name); });

#ifdef SYS_vfork
// Not by a lambda: after vfork(2) the child must not return to where the parent goes on.
TEST(ForbiddenTest, VforkEndsTheProcess) {
  const Ended ended = RunInChild([] {
    ActInSandbox({}, Actor::kLoader, [] {
      Say(kAlive);
      if (::vfork() == 0) ::_exit(0);
    });
  });
  EXPECT_EQ(ended.status, -SIGSYS);
  EXPECT_EQ(ended.said, kAlive);
}
#endif

#ifdef __x86_64__
long CallByTheI386Table() {
  long result = 20;  // getpid there
  asm volatile("int $0x80" : "+a"(result) : : "memory");
  return result;
}

TEST(ForbiddenTest, ACallOfI386EndsTheProcess) {
  // A kernel without that table ends the process by itself, with another signal.
  const Ended outside = RunInChild([] { CallByTheI386Table(); });
  const int expected = outside.status == 0 ? -SIGSYS : outside.status;
  for (const Actor actor : {Actor::kLoader, Actor::kOlder, Actor::kYounger}) {
    const Ended ended = RunInChild([&] {
      ActInSandbox({}, actor, [] {
        Say(kAlive);
        CallByTheI386Table();
        Say(" and still");
      });
    });
    EXPECT_EQ(ended.status, expected);
    EXPECT_EQ(ended.said, kAlive);
  }
}
#endif

}  // namespace
}  // namespace okms::test
