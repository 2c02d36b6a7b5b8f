// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "sandbox/process.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "support/refuse_call.h"
#include "support/status_is.h"
#include "support/temp_dir.h"
#include "unit/sandbox/child.h"

namespace okms::sandbox {
namespace {

using test::ExpectInChild;
using test::IsOk;
using test::RefuseCall;
using test::StatusIs;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr auto kFailedPrecondition = absl::StatusCode::kFailedPrecondition;

rlimit Limit(decltype(RLIMIT_CORE) resource) {
  rlimit limit{1, 1};
  EXPECT_EQ(::getrlimit(resource, &limit), 0);
  return limit;
}

void SetLimit(decltype(RLIMIT_CORE) resource, rlim_t soft, rlim_t hard) {
  const rlimit limit{soft, hard};
  EXPECT_EQ(::setrlimit(resource, &limit), 0);
}

long LockedKilobytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (absl::StartsWith(line, "VmLck:")) return std::stol(line.substr(6));
  }
  return -1;
}

TEST(LockDown, NoNewPrivileges) {
  if (test::IsWithoutNewPrivileges()) GTEST_SKIP() << test::kIsWithoutNewPrivileges;
  ExpectInChild([] {
    ASSERT_THAT(LockDown(), IsOk());
    EXPECT_TRUE(test::IsWithoutNewPrivileges());
  });
}

TEST(LockDown, NoTracingNoDumpNoFile) {
  ExpectInChild([] {
    ASSERT_EQ(::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 1);
    ASSERT_THAT(LockDown(), IsOk());
    EXPECT_EQ(::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
    for (const auto resource : {RLIMIT_CORE, RLIMIT_FSIZE}) {
      EXPECT_EQ(Limit(resource).rlim_cur, 0U);
      EXPECT_EQ(Limit(resource).rlim_max, 0U);
    }
  });
}

TEST(LockDown, ALogThatIsAFileMayGrow) {
  ExpectInChild([] {
    const test::TempDir directory;
    const UniqueFd log(::open((directory / "log").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    const rlim_t before = Limit(RLIMIT_FSIZE).rlim_cur;
    const UniqueFd output(::dup(STDERR_FILENO));
    ::dup2(log.get(), STDERR_FILENO);
    const auto let_go = LockDown();
    EXPECT_EQ(::write(STDERR_FILENO, "line\n", 5), 5);
    ::dup2(output.get(), STDERR_FILENO);
    ASSERT_THAT(let_go, IsOk());
    EXPECT_THAT(*let_go, Contains("file size not limited, since the log is a file"));
    EXPECT_EQ(Limit(RLIMIT_FSIZE).rlim_cur, before);
    EXPECT_EQ(Limit(RLIMIT_CORE).rlim_max, 0U);
  });
}

TEST(LockDown, ALogThatIsNoFileIsNothingToMention) {
  ExpectInChild([] {
    const auto let_go = LockDown();
    ASSERT_THAT(let_go, IsOk());
    EXPECT_THAT(*let_go, Not(Contains(HasSubstr("file size"))));
  });
}

TEST(LockDown, MemoryIsLockedOnlyWithoutALimit) {
  ExpectInChild([] {
    constexpr rlim_t kSome = 65536;
    SetLimit(RLIMIT_MEMLOCK, kSome, Limit(RLIMIT_MEMLOCK).rlim_max);
    const auto let_go = LockDown();
    ASSERT_THAT(let_go, IsOk());
    EXPECT_THAT(*let_go, Contains("memory not locked: RLIMIT_MEMLOCK is 65536 bytes, not unlimited "
                                  "(LimitMEMLOCK=infinity in a unit)"));
    EXPECT_EQ(LockedKilobytes(), 0);
  });
}

// Whether there is no limit depends on the machine: either way, what is said must be so.
TEST(LockDown, WhatItSaysOfLockedMemoryIsTrue) {
  ExpectInChild([] {
    RaiseMemoryLimit();
    const bool unlimited = Limit(RLIMIT_MEMLOCK).rlim_cur == RLIM_INFINITY;
    const auto let_go = LockDown();
    ASSERT_THAT(let_go, IsOk());
    if (!unlimited) {
      EXPECT_THAT(*let_go, Contains(StartsWith("memory not locked: RLIMIT_MEMLOCK is ")));
      EXPECT_EQ(LockedKilobytes(), 0);
      return;
    }
    EXPECT_THAT(*let_go, Not(Contains(HasSubstr("memory"))));
    const long before = LockedKilobytes();
    EXPECT_GT(before, 0);
    // What is mapped later is locked, too.
    constexpr std::size_t kSize = 1U << 20U;
    void* const later =
        ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(later, MAP_FAILED);
    EXPECT_GE(LockedKilobytes(), before + 1024);
  });
}

TEST(LockDown, MemoryThatCannotBeLockedIsSaid) {
  ExpectInChild([] {
    ASSERT_THAT(RefuseCall("mlockall", EAGAIN), IsOk());
    const bool unlimited = Limit(RLIMIT_MEMLOCK).rlim_cur == RLIM_INFINITY;
    const auto let_go = LockDown();
    ASSERT_THAT(let_go, IsOk());
    EXPECT_THAT(*let_go, Contains(StartsWith(unlimited ? "memory not locked: sandbox: mlockall: "
                                                       : "memory not locked: RLIMIT_MEMLOCK")));
  });
}

TEST(RaiseMemoryLimit, GoesAsFarAsItMay) {
  ExpectInChild([] {
    const rlimit before = Limit(RLIMIT_MEMLOCK);
    SetLimit(RLIMIT_MEMLOCK, 4096, before.rlim_max);
    RaiseMemoryLimit();
    const rlim_t now = Limit(RLIMIT_MEMLOCK).rlim_cur;
    EXPECT_TRUE(now == before.rlim_max || now == RLIM_INFINITY) << now;
  });
}

// A call that the kernel refuses, or claims to have done, and the line that must come of it.
struct Refusal {
  std::string call;
  int error;
  std::string line;
};

TEST(LockDown, WhatTheKernelDoesNotDoIsAnError) {
  const auto prctl = [](int option) { return absl::StrCat("prctl:0=", option); };
  const auto limit = [](int resource) { return absl::StrCat("prlimit64:1=", resource); };
  const std::vector<Refusal> refusals = {
      {prctl(PR_SET_NO_NEW_PRIVS), EPERM, "sandbox: no new privileges: Operation not permitted"},
      {prctl(PR_SET_NO_NEW_PRIVS), 0, "sandbox: no new privileges: not set"},
      {prctl(PR_SET_DUMPABLE), EINVAL, "sandbox: not dumpable: Invalid argument"},
      {prctl(PR_SET_DUMPABLE), 0, "sandbox: not dumpable: not set"},
      {limit(RLIMIT_CORE), EPERM, "sandbox: no core dump: Operation not permitted"},
      {limit(RLIMIT_CORE), 0, "sandbox: no core dump: not set"},
      {limit(RLIMIT_FSIZE), EPERM, "sandbox: no growing file: Operation not permitted"},
      {limit(RLIMIT_FSIZE), 0, "sandbox: no growing file: not set"},
  };
  if (::geteuid() != 0) GTEST_SKIP() << "only root can refuse a call and not set what is tested";
  for (const Refusal& refusal : refusals) {
    SCOPED_TRACE(absl::StrCat(refusal.call, " ", refusal.error));
    ExpectInChild([&] {
      ASSERT_THAT(RefuseCall(refusal.call, refusal.error), IsOk());
      EXPECT_THAT(LockDown(), StatusIs(kFailedPrecondition, refusal.line));
    });
  }
}

}  // namespace
}  // namespace okms::sandbox
