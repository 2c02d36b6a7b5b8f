// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Restarts while clients call without pause, on a listening socket that stays: as systemd keeps it.
// The clients call as kube-apiserver does: they wait for a connection, and what a server refuses
// unseen is sent again by gRPC itself, but nothing that failed is repeated.

#include <signal.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "integration/http2.h"
#include "integration/plugin_test.h"
#include "integration/steady_load.h"
#include "integration/unix_socket.h"

namespace okms::test {
namespace {

using testing::IsEmpty;

constexpr std::size_t kClients = 8;

class RestartTest : public PluginTest {
 protected:
  RestartTest() : path_(dir_ / "passed.sock"), passed_(Must(BindUnix(path_))) { StartKms(); }

  void StartPassed() {
    ChildOptions options;
    options.listen_fd = passed_.get();
    StartPlugin(std::move(options));
  }

  void StartLoad() {
    load_.Start(kClients, NewPlaintext(), [this] {
      return std::make_unique<KmsClient>(path_,
                                         KmsClient::Options{.timeout = std::chrono::seconds(10)});
    });
  }
  // By whoever serves now: the first one may have been answered by the one before.
  bool AllServed() { return load_.AllServed(2); }

  const std::string path_;
  const UniqueFd passed_;
  SteadyLoad load_;
};

TEST_F(RestartTest, NoCallFails) {
  StartPassed();
  StartLoad();
  for (int restart = 0; restart < 10; ++restart) {
    ASSERT_TRUE(AllServed()) << "restart " << restart;
    ASSERT_EQ(StopPlugin(), 0);
    StartPassed();
  }
  ASSERT_TRUE(AllServed());
  load_.Stop();
  EXPECT_THAT(load_.Failures(), IsEmpty());
}

TEST_F(RestartTest, DoesNotWaitForPeersThatStay) {
  flags_["--timeout"] = "30s";
  StartPassed();
  StartLoad();
  ASSERT_TRUE(AllServed());
  const UniqueFd silent = Must(ConnectUnix(path_));
  const UniqueFd deaf = Must(ConnectUnix(path_));  // hears no GOAWAY
  const Heard heard = Exchange(deaf.get(), Http2Call("Status", "localhost", ""), Http2Ended);
  ASSERT_TRUE(Http2Message(heard.bytes).has_value());
  const Deadline begin = Clock::now();
  ASSERT_EQ(StopPlugin(), 0);
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(10));
  StartPassed();
  ASSERT_TRUE(AllServed());
  load_.Stop();
  EXPECT_THAT(load_.Failures(), IsEmpty());
}

// What is under way when the process is killed is lost, and perhaps one call more, which gRPC's
// client puts on the connection before it notices that it is dead. Nothing after that is.
TEST_F(RestartTest, AKillCostsNoMoreThanWhatIsUnderWay) {
  StartPassed();
  StartLoad();
  constexpr std::size_t kKills = 3;
  for (std::size_t kill = 1; kill <= kKills; ++kill) {
    ASSERT_TRUE(AllServed());
    ASSERT_EQ(StopPlugin(SIGKILL), -SIGKILL);
    StartPassed();
    ASSERT_TRUE(AllServed());
    const std::vector<std::string> failures = load_.Failures();
    std::array<std::size_t, kClients> lost{};
    for (const std::string& failure : failures) {
      ++lost[static_cast<std::size_t>(failure[0] - '0')];
    }
    for (const std::size_t count : lost) EXPECT_LE(count, 2 * kill);
    ASSERT_TRUE(AllServed());
    EXPECT_EQ(load_.Failures(), failures) << "a call failed after the restart";
  }
  load_.Stop();
}

}  // namespace
}  // namespace okms::test
