// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Signals that somebody may send by habit: those that end the plugin, and those that must not.

#include <signal.h>

#include <string>

#include "integration/plugin_test.h"

namespace okms::test {
namespace {

using testing::HasSubstr;

class SignalsTest : public PluginTest {
 protected:
  void SetUp() override { StartKms(); }
};

TEST_F(SignalsTest, OthersAreIgnored) {
  StartReady();
  for (int signal = 1; signal <= SIGRTMAX; ++signal) {
    switch (signal) {
      // Those that end it, or that nobody can ignore, and those of faults.
      case SIGTERM:
      case SIGINT:
      case SIGQUIT:
      case SIGKILL:
      case SIGSTOP:
      case SIGCONT:
      case SIGABRT:
      case SIGBUS:
      case SIGFPE:
      case SIGILL:
      case SIGSEGV:
      case SIGSYS:
      case SIGTRAP: continue;
    }
    if (signal > SIGSYS && signal < SIGRTMIN) continue;  // the C library's own
    plugin().Signal(signal);
    ExpectRoundTrip();
    ASSERT_TRUE(plugin().Running()) << "ended by signal " << signal;
  }
}

class NotedSignalsTest : public SignalsTest, public testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(, NotedSignalsTest, testing::Values(SIGUSR1, SIGUSR2));

TEST_P(NotedSignalsTest, HasALine) {
  StartReady();
  plugin().Signal(GetParam());
  EXPECT_TRUE(
      plugin().WaitForLine(absl::StrCat("notice: SIG", ::sigabbrev_np(GetParam()),
                                        ": means nothing here; SIGHUP has files read again")))
      << plugin().Err();
  ExpectRoundTrip();
}

// From the first moment on, while certificates are read and the sandbox is set up.
TEST_P(NotedSignalsTest, IsHarmlessAtTheStart) {
  LaunchPlugin();
  ASSERT_TRUE(WaitUntil([&] {  // the program itself, no longer the test's child before it
    return plugin().ProcStatus("SigBlk") != "0000000000000000";
  }));
  plugin().Signal(GetParam());
  ASSERT_TRUE(plugin().WaitForLine(" serves ")) << plugin().Err();
  EXPECT_TRUE(plugin().WaitForLine(absl::StrCat("SIG", ::sigabbrev_np(GetParam()), ": ")));
  ExpectRoundTrip();
}

// It is heard as soon as it can be. Started by root, the test's files are not to be read again.
TEST_F(SignalsTest, HangupAtTheStartIsNotLost) {
  LaunchPlugin();
  ASSERT_TRUE(WaitUntil([&] { return plugin().ProcStatus("SigBlk") != "0000000000000000"; }));
  plugin().Signal(SIGHUP);
  EXPECT_TRUE(plugin().WaitForLine(": certificates ")) << plugin().Err();
  ExpectRoundTrip();
}

class StopSignalsTest : public SignalsTest, public testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(, StopSignalsTest, testing::Values(SIGTERM, SIGINT, SIGQUIT));

TEST_P(StopSignalsTest, EndsIt) {
  StartReady();
  EXPECT_EQ(StopPlugin(GetParam()), 0);
}

}  // namespace
}  // namespace okms::test
