// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What the service manager is told when certificates change while the plugin runs.

#include <poll.h>
#include <time.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "integration/reload_test.h"
#include "integration/unix_socket.h"

namespace okms::test {
namespace {

using testing::HasSubstr;

class ReloadNotifyTest : public ReloadTest {
 protected:
  ReloadNotifyTest()
      : manager_(Must(BindUnix(dir_ / "notify", SOCK_DGRAM))), passed_(Must(BindUnix(socket()))) {
    options_.listen_fd = passed_.get();
    options_.environment = {absl::StrCat("NOTIFY_SOCKET=", dir_ / "notify")};
  }

  // The next message that is no STATUS=, which is kept.
  std::string Next() {
    pollfd entry{manager_.get(), POLLIN, 0};
    while (::poll(&entry, 1, PollTimeout(Clock::now() + kPatience)) > 0) {
      std::array<char, 4096> buffer{};
      const ssize_t size = ::recv(manager_.get(), buffer.data(), buffer.size(), 0);
      const std::string message(buffer.data(), static_cast<std::size_t>(size));
      if (!absl::StartsWith(message, "STATUS=")) return message;
      state_ = message;
    }
    return "";
  }

  const UniqueFd manager_;
  const UniqueFd passed_;
  ChildOptions options_;
  std::string state_;
};
INSTANTIATE_TEST_SUITE_P(, ReloadNotifyTest, testing::Values(Speaks::kKmip), NameOf);

TEST_P(ReloadNotifyTest, ThatItReloadsAndThatThisHasComeToAnEnd) {
  StartKms();
  StartPlugin(options_);
  ASSERT_EQ(Next(), "READY=1");
  ASSERT_THAT(AwaitStatus(Code::kOk), IsOk());
  for (const bool good : {true, false, true}) {
    timespec before{};
    ::clock_gettime(CLOCK_MONOTONIC, &before);
    if (good) {
      InstallNew("plugin-2");
    } else {
      Write(At("client.key"), "no key");
    }
    plugin().Signal(SIGHUP);
    const std::vector<std::string> lines = absl::StrSplit(Next(), "\nMONOTONIC_USEC=");
    ASSERT_EQ(lines.size(), 2U);
    EXPECT_EQ(lines[0], "RELOADING=1");
    int64_t time = 0;
    ASSERT_TRUE(absl::SimpleAtoi(lines[1], &time));
    EXPECT_GE(time, before.tv_sec * 1'000'000 + before.tv_nsec / 1000);
    EXPECT_EQ(Next(), "READY=1");
    EXPECT_TRUE(plugin().WaitForLine(good ? kTaken : kNotTaken));
  }
}

// The manager must not be left waiting for a KMS that does not answer.
TEST_P(ReloadNotifyTest, ThatItHasTakenLongEnough) {
  StartKms();
  flags_["--timeout"] = "30s";
  StartPlugin(options_);
  ASSERT_EQ(Next(), "READY=1");
  ASSERT_THAT(AwaitStatus(Code::kOk), IsOk());
  SetFault("hang");
  InstallNew("plugin-2");
  plugin().Signal(SIGHUP);
  ASSERT_THAT(Next(), HasSubstr("RELOADING=1"));
  ASSERT_EQ(Next(), "READY=1");
  EXPECT_EQ(Lines(kTaken) + Lines(kNotTaken), 0);
}

TEST_P(ReloadNotifyTest, NothingBeforeItIsReadyAndThatWhenAMissingFileIsThere) {
  StartKms();
  fs::rename(At("client.pem"), dir_ / "elsewhere.pem");
  StartPlugin(options_);
  plugin().Signal(SIGHUP);
  ASSERT_TRUE(plugin().WaitForLine(kNotTaken));
  fs::rename(dir_ / "elsewhere.pem", At("client.pem"));
  ASSERT_TRUE(plugin().WaitForLine(kTaken)) << "by itself";
  EXPECT_EQ(Next(), "READY=1");
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
  ExpectRoundTrip();
}

}  // namespace
}  // namespace okms::test
