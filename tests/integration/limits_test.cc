// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The start with less room for threads than the plugin may need: it says so and ends, before
// anybody takes it for ready.

#include <unistd.h>

#include <thread>
#include <vector>

#include "integration/plugin_test.h"

namespace okms::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr rlim_t kThreads = 40;  // what it asks for, beside its first one

class LimitsTest : public PluginTest {
 protected:
  LimitsTest() {
    if (::geteuid() != 0) return;
    // Nobody else's, nor that of a test beside: the limit counts all threads of a user.
    const pid_t own = 20000 + ::getpid() % 20000;
    flags_["--user"] = absl::StrCat(own, ":", own);
  }
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, for a user of its own";
  }
  static ChildOptions Processes(rlim_t count) {
    ChildOptions options;
    options.processes = rlimit{count, count};
    return options;
  }
  static void ExpectRefused(const Ended& ended) {
    EXPECT_EQ(ended.exit_status, 1);
    EXPECT_THAT(ended.err, AllOf(HasSubstr("no room for the 40 threads that may be needed"),
                                 HasSubstr("TasksMax="), Not(HasSubstr(" serves "))));
    EXPECT_EQ(ended.err.find('\n'), ended.err.size() - 1) << ended.err;
  }
};

TEST_F(LimitsTest, TooFewThreadsEndTheStart) {
  for (const rlim_t processes : {rlim_t{1}, rlim_t{2}, rlim_t{5}, rlim_t{12}, kThreads}) {
    SCOPED_TRACE(processes);
    ExpectRefused(RunToEnd(Processes(processes)));
  }
}

TEST_F(LimitsTest, TooLittleMemoryForTheirStacksEndsTheStart) {
  ChildOptions options;
  constexpr rlim_t kMost = 256 * 1024 * 1024;
  options.address_space = rlimit{kMost, kMost};
  ExpectRefused(RunToEnd(std::move(options)));
}

TEST_F(LimitsTest, JustEnoughThreadsServeALoad) {
  StartKms();
  StartPlugin(Processes(kThreads + 1));
  ASSERT_THAT(AwaitStatus(Code::kOk), IsOk());
  const std::string plaintext = NewPlaintext();
  std::vector<std::thread> callers;
  for (int i = 0; i < 16; ++i) {
    callers.emplace_back([&] {
      const auto client = NewClient();
      for (int call = 0; call < 20; ++call) EXPECT_THAT(client->Encrypt(plaintext), IsOk());
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_LE(std::stoul(plugin().ProcStatus("Threads")), kThreads + 1);
}

}  // namespace
}  // namespace okms::test
