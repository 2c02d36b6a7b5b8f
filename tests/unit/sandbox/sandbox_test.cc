// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Life in the sandbox: what the plugin and its libraries do goes on.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <pthread.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "sandbox/confine.h"
#include "sandbox/seccomp.h"
#include "support/refuse_call.h"
#include "support/status_is.h"
#include "support/temp_dir.h"
#include "unit/sandbox/child.h"
#include "unit/sandbox/enter.h"
#include "unit/sandbox/sockets.h"

namespace okms::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// The body in the sandbox, in the thread that entered it and in one that came later.
void ExpectInSandbox(const sandbox::Reach& reach, const std::function<void()>& body) {
  for (const Actor actor : {Actor::kLoader, Actor::kYounger}) {
    ExpectInChild([&] { ActInSandbox(reach, actor, body); });
  }
}

TEST(Sandbox, ThreadsStartAndEnd) {
  ExpectInSandbox({}, [] {
    for (int round = 0; round < 10; ++round) {
      std::vector<std::thread> threads;
      for (int i = 0; i < 8; ++i) {
        threads.emplace_back([] { EXPECT_EQ(::pthread_setname_np(::pthread_self(), "name"), 0); });
      }
      for (std::thread& thread : threads) thread.join();
    }
  });
}

TEST(Sandbox, MemoryGrowsMovesAndGoes) {
  ExpectInSandbox({}, [] {
    const auto use = [] {
      std::vector<void*> blocks;
      for (std::size_t size = 16; size < (std::size_t{1} << 24U); size *= 2) {
        for (int i = 0; i < 8; ++i) {
          blocks.push_back(std::malloc(size));
          std::memset(blocks.back(), 1, size);
        }
      }
      void* block = std::malloc(std::size_t{1} << 20U);
      for (std::size_t size = std::size_t{1} << 21U; size < (std::size_t{1} << 27U); size *= 2) {
        block = std::realloc(block, size);
        std::memset(block, 2, size);
      }
      std::free(block);
      for (void* const each : blocks) std::free(each);
    };
    use();
    std::thread(use).join();  // in an arena of its own
  });
}

TEST(Sandbox, TimePasses) {
  ExpectInSandbox({}, [] {
    const auto begin = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(20));
    EXPECT_GT(::time(nullptr), 0);
  });
}

TEST(Sandbox, RandomBytesCome) {
  ExpectInSandbox({}, [] {
    std::array<unsigned char, 32> bytes{};
    EXPECT_EQ(::getrandom(bytes.data(), bytes.size(), 0), 32);
  });
}

// What C libraries and mallocs do by themselves, whoever of our libraries it is that calls them.

TEST(Sandbox, NamesOfInterfacesAreUnknown) {
  ExpectInSandbox({}, [] {
    EXPECT_EQ(::if_nametoindex("lo"), 0U);
    EXPECT_EQ(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), -1);  // no way to a daemon
    EXPECT_EQ(errno, EAFNOSUPPORT);
  });
}

TEST(Sandbox, ManyThingsAreSorted) {
  ExpectInSandbox({}, [] {
    std::vector<std::array<int, 16>> things(200);
    for (std::size_t i = 0; i < things.size(); ++i) things[i][0] = static_cast<int>(i * 7 % 200);
    std::qsort(things.data(), things.size(), sizeof things[0], [](const void* a, const void* b) {
      return *static_cast<const int*>(a) - *static_cast<const int*>(b);
    });
    EXPECT_EQ(things.back()[0], 199);
    EXPECT_GT(::sysconf(_SC_PHYS_PAGES), 0);
  });
}

TEST(Sandbox, TheProcessorIsKnown) {
  ExpectInSandbox({}, [] {
    unsigned processor = 0;
    EXPECT_EQ(::syscall(SYS_getcpu, &processor, nullptr, nullptr), 0);
  });
}

TEST(Sandbox, NoFileIsThere) {
  ExpectInSandbox({}, [] {
    EXPECT_EQ(::access("/", R_OK), -1);
    EXPECT_EQ(errno, EACCES);
  });
}

TEST(Sandbox, NamedFilesAndPortsAreInReach) {
  const TempDir directory;
  ASSERT_EQ(::chmod(directory.path().c_str(), 0755), 0);  // for the other user
  std::ofstream(directory / "hosts") << "names";
  const TcpListener allowed;
  const TcpListener other;
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, 1);
  ExpectInSandbox({.files = {directory / "hosts"}, .tcp_ports = {allowed.port()}}, [&] {
    std::ifstream file(directory / "hosts");
    std::string text;
    file >> text;
    EXPECT_EQ(text, "names");
    EXPECT_EQ(ConnectError(allowed.port()), 0);
    // The rest is not, as far as this kernel can.
    if (abi < 1) return;
    EXPECT_EQ(::open("/etc/passwd", O_RDONLY | O_CLOEXEC), -1);
    EXPECT_EQ(errno, EACCES);
    EXPECT_EQ(ConnectError(other.port()), abi >= 4 ? EACCES : 0);
  });
}

TEST(Sandbox, ExceptionsAreCaught) {
  ExpectInSandbox({}, [] {
    EXPECT_THROW(throw std::runtime_error("caught"), std::runtime_error);
    EXPECT_THROW((void)std::vector<int>().at(1), std::out_of_range);
  });
}

// A broken promise must look like one: not like an attack, which SIGSYS would.
TEST(Sandbox, AbortLooksLikeAbort) {
  for (const Actor actor : {Actor::kLoader, Actor::kOlder, Actor::kYounger}) {
    const Ended ended = RunInChild([&] { ActInSandbox({}, actor, [] { std::abort(); }); });
    EXPECT_EQ(ended.status, -SIGABRT) << ended.said;
  }
}

TEST(Sandbox, AnExceptionThatNobodyCatchesLooksLikeAbort) {
  const Ended ended = RunInChild([] {
    ActInSandbox({}, Actor::kYounger, [] { throw std::runtime_error("nobody catches this"); });
  });
  EXPECT_EQ(ended.status, -SIGABRT);
  EXPECT_THAT(ended.said, HasSubstr("nobody catches this"));
}

TEST(Sandbox, ACrashLooksLikeACrash) {
  const Ended ended = RunInChild([] {
    ActInSandbox({}, Actor::kLoader, [] {
      volatile int* const nothing = nullptr;
      *nothing = 1;  // NOLINT(clang-analyzer-core.NullDereference): that is the point
    });
  });
  EXPECT_EQ(ended.status, -SIGSEGV);
}

TEST(Sandbox, CallsThatLibrariesCanDoWithoutFail) {
  const std::map<long, int> refused = {
      {SYS_clone3, ENOSYS},   {SYS_epoll_pwait2, ENOSYS}, {SYS_sched_getaffinity, EPERM},
      {SYS_mremap, ENOMEM},   {SYS_ioctl, ENOTTY},        {SYS_set_robust_list, ENOSYS},
      {SYS_signalfd4, EPERM}, {SYS_socketpair, EPERM},    {SYS_rt_sigaction, EPERM}};
  ExpectInSandbox({}, [&] {
    for (const auto& [number, error] : refused) {
      EXPECT_EQ(::syscall(number, -1, 0, 0, 0, 0, 0), -1) << number;
      EXPECT_EQ(errno, error) << number;
    }
  });
}

TEST(Sandbox, SaysWhatItAchieved) {
  ExpectInChild([] {
    const auto confinement =
        sandbox::Confine(::geteuid() == 0 ? kTestUserText : "", sandbox::Reach{});
    ASSERT_THAT(confinement, IsOk());
    EXPECT_THAT(confinement->landlock, HasSubstr("Landlock"));
    EXPECT_THAT(confinement->all, StartsWith(confinement->landlock));
  });
}

TEST(Sandbox, TheFilterNeedsNoNewPrivileges) {
  if (IsWithoutNewPrivileges()) GTEST_SKIP() << kIsWithoutNewPrivileges;
  ExpectInChild([] {
    if (::geteuid() == 0) {
      ASSERT_EQ(::setresuid(kTestUser, kTestUser, kTestUser), 0);
    }
    EXPECT_THAT(sandbox::LoadFilter(),
                StatusIs(absl::StatusCode::kFailedPrecondition,
                         StartsWith("sandbox: seccomp: the kernel does not take")));
  });
}

TEST(Sandbox, AKernelThatRefusesTheFilterIsAnError) {
  // The second: only the load for all threads (TSYNC and TSYNC_ESRCH), not the questions before it.
  for (const std::string call : {"seccomp", "seccomp:1=17"}) {
    SCOPED_TRACE(call);
    ExpectInChild([&] {
      if (::geteuid() != 0) return;  // only root can refuse it without a filter of its own
      ASSERT_THAT(RefuseCall(call, EPERM), IsOk());
      EXPECT_THAT(sandbox::LoadFilter(),
                  StatusIs(absl::StatusCode::kFailedPrecondition,
                           StartsWith("sandbox: seccomp: the kernel does not take")));
    });
  }
}

}  // namespace
}  // namespace okms::test
