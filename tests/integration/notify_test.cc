// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What the service manager is told (sd_notify(3)).

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "integration/plugin_test.h"
#include "integration/unix_socket.h"

namespace okms::test {
namespace {

using testing::HasSubstr;
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
    for (std::string next = Next(); !next.empty(); next = Next()) {
      if (next == message) return true;
      others_.push_back(next);
    }
    return false;
  }

  std::vector<std::string> others_;

 private:
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
  EXPECT_TRUE(
      Await(absl::StrCat("STATUS=not ready: 127.0.0.1:", port(), ": connect: Connection refused")));
  StartKms();
  EXPECT_TRUE(Await("STATUS=ready: key key-1"));
  for (const std::string& other : others_) EXPECT_THAT(other, StartsWith("STATUS=not ready: "));
}

TEST_F(NotifyTest, TheEndIsSaid) {
  StartKms();
  StartNotifying();
  ASSERT_TRUE(Await("STATUS=ready: key key-1"));
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
