// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What the service manager is told (sd_notify(3)).

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "integration/plugin_test.h"
#include "integration/unix_socket.h"

namespace okms::test {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

class NotifyTest : public PluginTest {
 protected:
  NotifyTest() : manager_(Must(BindUnix(dir_ / "notify", SOCK_DGRAM))) {}

  void StartNotifying() {
    ChildOptions options;
    options.environment = {absl::StrCat("NOTIFY_SOCKET=", dir_ / "notify")};
    LaunchPlugin(std::move(options));
  }

  // The next message; empty when none comes.
  std::string Next() {
    pollfd entry{manager_.get(), POLLIN, 0};
    if (::poll(&entry, 1, PollTimeout(Clock::now() + kPatience)) <= 0) return "";
    std::array<char, 4096> buffer{};
    const ssize_t size = ::recv(manager_.get(), buffer.data(), buffer.size(), 0);
    return {buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
  }
  // Whether this comes, whatever comes before.
  bool Await(const std::string& message) {
    return AwaitOne([&](const std::string& next) { return next == message; });
  }
  bool AwaitStart(const std::string& start) {
    return AwaitOne([&](const std::string& next) { return absl::StartsWith(next, start); });
  }

  std::string last_;
  std::vector<std::string> others_;

 private:
  bool AwaitOne(const std::function<bool(const std::string&)>& wanted) {
    const Deadline deadline = Clock::now() + kPatience;
    while (!Expired(deadline)) {
      std::string next = Next();
      last_ = next;
      if (wanted(next)) return true;
      others_.push_back(std::move(next));
    }
    return false;
  }

  const UniqueFd manager_;
};

TEST_F(NotifyTest, ReadyComesWhenTheSocketTakesConnections) {
  StartNotifying();
  EXPECT_EQ(Next(), "READY=1");
  EXPECT_THAT(ConnectUnix(socket()), IsOk());  // also without a KMS
}

TEST_F(NotifyTest, TheStateFollows) {
  StartNotifying();
  ASSERT_EQ(Next(), "READY=1");
  EXPECT_TRUE(Await(absl::StrCat("STATUS=serving; no key yet: KMS unreachable for 0 s (127.0.0.1:",
                                 port(), ": connect: Connection refused)")));
  EXPECT_TRUE(AwaitStart(absl::StrCat("STATUS=serving; no key yet: KMS unreachable for 1 s")));
  StartKms();
  EXPECT_TRUE(Await("STATUS=serving; key key-1"));
  for (const std::string& other : others_) {
    EXPECT_THAT(other, StartsWith("STATUS=serving; no key yet"));
  }
  others_.clear();
  StopKms();
  // Told at the next tick, ten seconds after the last one at the latest.
  ASSERT_TRUE(AwaitStart("STATUS=serving; KMS unreachable for "));
  ASSERT_TRUE(AwaitStart("STATUS=serving; KMS unreachable for "));
  EXPECT_THAT(last_, EndsWith(absl::StrCat(" s (127.0.0.1:", port(),
                                           ": connect: Connection refused); key key-1")));
  EXPECT_THAT(others_, IsEmpty());
}

TEST_F(NotifyTest, AKeyThatIsRefusedIsNoKmsThatIsAway) {
  key_.state = kmip::State::kDeactivated;
  StartKms();
  StartNotifying();
  EXPECT_TRUE(
      Await("STATUS=serving; no key that works for 0 s (key key-1 is in state Deactivated, "
            "not Active)"));
}

TEST_F(NotifyTest, TheEndIsSaid) {
  StartKms();
  StartNotifying();
  ASSERT_TRUE(Await("STATUS=serving; key key-1"));
  plugin().Signal(SIGTERM);
  EXPECT_TRUE(Await("STOPPING=1"));
  EXPECT_EQ(plugin().Wait(), 0);
  StartPlugin();
}

TEST_F(NotifyTest, AManagerThatIsGoneIsNoHarm) {
  ChildOptions options;
  options.environment = {absl::StrCat("NOTIFY_SOCKET=", dir_ / "none")};
  StartKms();
  StartPlugin(std::move(options));
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
  EXPECT_THAT(plugin().Err(), HasSubstr("cannot reach the service manager at NOTIFY_SOCKET="));
}

}  // namespace
}  // namespace okms::test
