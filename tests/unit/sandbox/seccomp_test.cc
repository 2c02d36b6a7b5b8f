// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The filter as the kernel gets it, run on all calls that there are, against the list of
// system_calls.h read by other code than the filter's.

#include "sandbox/seccomp.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "sandbox/system_calls.h"
#include "support/status_is.h"
#include "unit/sandbox/bpf.h"

namespace okms::sandbox {
namespace {

using test::IsOk;
using test::RunFilter;
using ::testing::Contains;

using Arguments = std::array<uint64_t, 6>;

constexpr int kLastNumber = 1023;  // the kernel's last one is below 500
constexpr int kX32 = 0x4000'0000;  // the bit that marks a call by the x32 table

class FilterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const UniqueFd file(::memfd_create("filter", MFD_CLOEXEC));
    ASSERT_THAT(ExportFilter(file.get()), IsOk());
    const off_t size = ::lseek(file.get(), 0, SEEK_END);
    ASSERT_GT(size, 0);
    filter_.resize(static_cast<std::size_t>(size) / sizeof(sock_filter));
    ASSERT_EQ(::pread(file.get(), filter_.data(), static_cast<std::size_t>(size), 0), size);
  }

  uint32_t Answer(uint32_t architecture, int number, const Arguments& arguments) const {
    seccomp_data call{};
    call.arch = architecture;
    call.nr = number;
    call.instruction_pointer = 0x5555'5555'5555;
    std::copy(arguments.begin(), arguments.end(), call.args);
    const auto answer = RunFilter(filter_, call);
    if (answer.ok()) return *answer;
    ADD_FAILURE() << answer.status();
    return SECCOMP_RET_LOG;
  }
  uint32_t Answer(int number, const Arguments& arguments) const {
    return Answer(::seccomp_arch_native(), number, arguments);
  }

 private:
  std::vector<sock_filter> filter_;
};

int NumberOf(const RefusedCall& call) { return ::seccomp_syscall_resolve_name(call.name); }

int NumberOf(const AllowedCall& call) {
  const int number = ::seccomp_syscall_resolve_name(call.name);
  return number >= 0 || call.other_name == nullptr
             ? number
             : ::seccomp_syscall_resolve_name(call.other_name);
}

template <typename Call>
bool Fits(const Call& call, const Arguments& arguments) {
  return std::all_of(call.arguments.begin(), call.arguments.end(), [&](const Argument& argument) {
    return (arguments[argument.index] & argument.mask) == argument.value;
  });
}

// What the list says.
uint32_t Expected(int number, const Arguments& arguments) {
  for (const AllowedCall& call : AllowedCalls()) {
    if (NumberOf(call) == number && Fits(call, arguments)) return SECCOMP_RET_ALLOW;
  }
  for (const RefusedCall& call : RefusedCalls()) {
    if (NumberOf(call) == number && Fits(call, arguments)) {
      return SECCOMP_RET_ERRNO | static_cast<uint32_t>(call.error);
    }
  }
  return SECCOMP_RET_KILL_PROCESS;
}

// Arguments that are of interest for this call: without a pattern; such as fit each row, with all
// other bits clear or set; and those with one bit of a condition wrong.
std::vector<Arguments> Interesting(int number) {
  constexpr uint64_t kAll = std::numeric_limits<uint64_t>::max();
  std::vector<Arguments> all = {{}, {kAll, kAll, kAll, kAll, kAll, kAll}};
  std::mt19937_64 random(static_cast<uint64_t>(number));
  all.push_back({random(), random(), random(), random(), random(), random()});
  const auto add = [&](const auto& call) {
    if (NumberOf(call) != number) return;
    for (const uint64_t rest : {uint64_t{0}, kAll}) {
      Arguments fit;
      fit.fill(rest);
      for (const Argument& argument : call.arguments) {
        fit[argument.index] = (rest & ~argument.mask) | argument.value;
      }
      all.push_back(fit);
      for (const Argument& argument : call.arguments) {
        for (unsigned bit = 0; bit < 64; ++bit) {
          if ((argument.mask >> bit & 1U) == 0) continue;
          all.push_back(fit);
          all.back()[argument.index] ^= uint64_t{1} << bit;
        }
      }
    }
  };
  for (const AllowedCall& call : AllowedCalls()) add(call);
  for (const RefusedCall& call : RefusedCalls()) add(call);
  return all;
}

std::string Show(int number, const Arguments& arguments) {
  std::string text = absl::StrCat("call ", number, ":");
  for (const uint64_t argument : arguments) absl::StrAppend(&text, " ", absl::Hex(argument));
  return text;
}

TEST_F(FilterTest, AnswersEachCallAsTheListSays) {
  int allowed = 0;
  int killed = 0;
  for (int number = 0; number <= kLastNumber; ++number) {
    for (const Arguments& arguments : Interesting(number)) {
      const uint32_t answer = Answer(number, arguments);
      ASSERT_EQ(answer, Expected(number, arguments)) << Show(number, arguments);
      (answer == SECCOMP_RET_ALLOW ? allowed : killed) += 1;
    }
  }
  // Or the test is of nothing.
  EXPECT_GT(allowed, 100);
  EXPECT_GT(killed, kLastNumber);
}

TEST_F(FilterTest, DoesNotLookAtTheUpperHalfOfAnInt) {
  std::mt19937 random(1);
  for (int number = 0; number <= kLastNumber; ++number) {
    for (const Arguments& arguments : Interesting(number)) {
      Arguments garbled = arguments;
      for (uint64_t& argument : garbled) {
        argument = (argument & 0xffff'ffff) | uint64_t{random()} << 32U;
      }
      ASSERT_EQ(Answer(number, garbled), Answer(number, arguments)) << Show(number, garbled);
    }
  }
}

TEST_F(FilterTest, KillsNumbersThatAreNone) {
  for (const int number : {-1, -2, -4096, kLastNumber + 1, 0x0fff'ffff, kX32 - 1,
                           std::numeric_limits<int>::max(), std::numeric_limits<int>::min()}) {
    for (const Arguments& arguments : Interesting(number)) {
      EXPECT_EQ(Answer(number, arguments), SECCOMP_RET_KILL_PROCESS) << number;
    }
  }
}

TEST_F(FilterTest, KillsCallsByOtherTables) {
  for (const uint32_t architecture :
       {uint32_t{AUDIT_ARCH_I386}, uint32_t{AUDIT_ARCH_ARM}, uint32_t{AUDIT_ARCH_X86_64},
        uint32_t{AUDIT_ARCH_AARCH64}, uint32_t{AUDIT_ARCH_RISCV64}, uint32_t{AUDIT_ARCH_MIPS64},
        uint32_t{0}, ~uint32_t{0}, ::seccomp_arch_native() ^ 1U}) {
    if (architecture == ::seccomp_arch_native()) continue;
    for (int number = 0; number <= kLastNumber; ++number) {
      for (const Arguments& arguments : Interesting(number)) {
        ASSERT_EQ(Answer(architecture, number, arguments), SECCOMP_RET_KILL_PROCESS)
            << architecture << ", " << Show(number, arguments);
      }
    }
  }
}

TEST_F(FilterTest, KillsCallsByTheX32Table) {
  for (int number = 0; number <= kLastNumber; ++number) {
    for (const Arguments& arguments : Interesting(number)) {
      ASSERT_EQ(Answer(number | kX32, arguments), SECCOMP_RET_KILL_PROCESS)
          << Show(number, arguments);
    }
  }
}

// Single calls, spelt out: what the list itself must not let through.
struct Sample {
  const char* name;
  Arguments arguments;
};

int NumberOf(const Sample& sample) { return ::seccomp_syscall_resolve_name(sample.name); }

TEST_F(FilterTest, KillsWhatAnAttackerWouldDo) {
  constexpr uint64_t kThread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                               CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID |
                               CLONE_CHILD_CLEARTID;
  const std::vector<Sample> samples = {
      // Code of one's own.
      {"mmap", {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE}},
      {"mmap", {0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS}},
      {"mmap", {0, 4096, PROT_EXEC | 0xff00'0000, MAP_PRIVATE}},
      {"mprotect", {0, 4096, PROT_EXEC}},
      {"mprotect", {0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC}},
      {"mprotect", {0, 4096, PROT_EXEC | PROT_GROWSDOWN}},
      // Files.
      {"openat", {0, 0, O_WRONLY}},
      {"openat", {0, 0, O_RDWR}},
      {"openat", {0, 0, O_ACCMODE}},
      {"openat", {0, 0, O_RDONLY | O_CREAT}},
      {"openat", {0, 0, O_RDONLY | O_TRUNC}},
      {"openat", {0, 0, O_RDONLY | O_APPEND}},
      {"openat", {0, 0, O_TMPFILE | O_RDWR}},
      {"openat", {0, 0, O_TMPFILE & ~O_DIRECTORY}},
      // Processes and namespaces.
      {"clone", {SIGCHLD}},
      {"clone", {0}},
      {"clone", {CLONE_VM | CLONE_VFORK | SIGCHLD}},
      {"clone", {kThread & ~uint64_t{CLONE_THREAD}}},
      {"clone", {kThread & ~uint64_t{CLONE_VM}}},
      {"clone", {kThread | CLONE_NEWUSER}},
      {"clone", {kThread | CLONE_NEWNS}},
      {"clone", {kThread | CLONE_NEWNET}},
      {"clone", {kThread | CLONE_PTRACE}},
      {"clone", {kThread | CLONE_UNTRACED}},
      {"clone", {kThread | CLONE_IO}},
      {"tgkill", {1, 1, SIGKILL}},
      {"tgkill", {1, 1, SIGSTOP}},
      {"tgkill", {1, 1, 0}},
      {"prctl", {PR_SET_DUMPABLE, 1}},
      {"prctl", {PR_SET_PTRACER, ~uint64_t{0}}},
      {"prctl", {PR_SET_SECCOMP, 2}},
      {"prctl", {PR_SET_NO_NEW_PRIVS, 1}},
      {"prctl", {PR_SET_SECUREBITS, 0}},
      {"prctl", {PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 0}},
      {"prctl", {PR_SET_MM, 1}},
      {"fcntl", {0, F_DUPFD, 0}},
      {"fcntl", {0, F_SETOWN, 1}},
      {"fcntl", {0, F_SETLEASE, F_WRLCK}},
      {"fcntl", {0, F_NOTIFY, 1}},
      // Sockets.
      {"socket", {AF_UNIX, SOCK_STREAM, 0}},
      {"socket", {AF_UNIX, SOCK_RAW, 0}},
      {"socket", {AF_UNIX, SOCK_DGRAM, 1}},
      {"socket", {AF_UNIX, SOCK_SEQPACKET, 0}},
      {"socket", {AF_NETLINK, SOCK_RAW, 0}},
      {"socket", {AF_NETLINK, SOCK_DGRAM, 0}},
      {"socket", {AF_PACKET, SOCK_RAW, 0}},
      {"socket", {AF_PACKET, SOCK_DGRAM, 0}},
      {"socket", {AF_VSOCK, SOCK_STREAM, 0}},
      {"socket", {AF_ALG, SOCK_SEQPACKET, 0}},
      {"socket", {AF_BLUETOOTH, SOCK_STREAM, 0}},
      {"socket", {AF_XDP, SOCK_RAW, 0}},
      {"socket", {AF_INET, SOCK_RAW, IPPROTO_ICMP}},
      {"socket", {AF_INET6, SOCK_RAW, IPPROTO_RAW}},
      {"socket", {AF_INET, SOCK_DGRAM, IPPROTO_ICMP}},
      {"socket", {AF_INET, SOCK_STREAM, IPPROTO_SCTP}},
      {"socket", {AF_INET, SOCK_STREAM, IPPROTO_MPTCP}},
      {"socket", {AF_INET, SOCK_SEQPACKET, 0}},
      {"socket", {AF_UNSPEC, SOCK_STREAM, 0}},
  };
  for (const Sample& sample : samples) {
    ASSERT_GE(NumberOf(sample), 0) << sample.name;
    EXPECT_EQ(Answer(NumberOf(sample), sample.arguments), SECCOMP_RET_KILL_PROCESS)
        << sample.name << ": " << Show(NumberOf(sample), sample.arguments);
  }
}

TEST_F(FilterTest, AllowsWhatLibrariesDo) {
  const std::vector<Sample> samples = {
      {"mmap", {0, 1U << 27U, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE}},
      {"mmap", {0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK}},
      {"mprotect", {0, 4096, PROT_READ | PROT_WRITE}},
      {"openat", {0, 0, O_RDONLY | O_CLOEXEC}},
      {"socket", {AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP}},
      {"socket", {AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0}},
      {"socket", {AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0}},
      {"fcntl", {0, F_SETFL, O_NONBLOCK}},
      {"prctl", {PR_SET_NAME}},
      {"prctl", {PR_SET_VMA, PR_SET_VMA_ANON_NAME}},
      {"tgkill", {1, 1, SIGABRT}},
      {"exit_group", {}},
  };
  for (const Sample& sample : samples) {
    EXPECT_EQ(Answer(NumberOf(sample), sample.arguments), SECCOMP_RET_ALLOW) << sample.name;
  }
}

TEST_F(FilterTest, RefusesByName) {
  const std::vector<std::pair<const char*, int>> refused = {
      {"clone3", ENOSYS}, {"epoll_pwait2", ENOSYS}, {"ioctl", ENOTTY},
      {"mremap", ENOMEM}, {"access", EACCES},       {"faccessat", EACCES}};
  for (const auto& [name, error] : refused) {
    EXPECT_EQ(Answer(::seccomp_syscall_resolve_name(name), {}),
              SECCOMP_RET_ERRNO | static_cast<uint32_t>(error))
        << name;
  }
}

TEST_F(FilterTest, RefusesTheSocketOfIfNameToIndex) {
  for (const uint64_t flags : {uint64_t{0}, uint64_t{SOCK_CLOEXEC | SOCK_NONBLOCK}}) {
    EXPECT_EQ(Answer(::seccomp_syscall_resolve_name("socket"), {AF_UNIX, SOCK_DGRAM | flags, 0}),
              SECCOMP_RET_ERRNO | uint32_t{EAFNOSUPPORT});
  }
}

TEST(ExportFilter, ReportsADescriptorThatIsNone) {
  EXPECT_THAT(ExportFilter(-1),
              test::StatusIs(absl::StatusCode::kFailedPrecondition,
                             ::testing::StartsWith("sandbox: seccomp: export: ")));
}

}  // namespace
}  // namespace okms::sandbox
