// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Restarts while clients call without pause, on a listening socket that stays: as systemd keeps it.
// The clients call as kube-apiserver does: they wait for a connection, and what a server refuses
// unseen is sent again by gRPC itself, but nothing that failed is repeated.

#include <signal.h>

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "integration/http2.h"
#include "integration/plugin_test.h"
#include "integration/unix_socket.h"

namespace okms::test {
namespace {

using testing::IsEmpty;

constexpr std::size_t kClients = 8;

class RestartTest : public PluginTest {
 protected:
  RestartTest() : path_(dir_ / "passed.sock"), passed_(Must(BindUnix(path_))) { StartKms(); }
  ~RestartTest() override { StopLoad(); }

  void StartPassed() {
    ChildOptions options;
    options.listen_fd = passed_.get();
    StartPlugin(std::move(options));
  }

  // Each client has a connection and one call under way, all the time.
  void StartLoad() {
    plaintext_ = NewPlaintext();
    for (std::size_t i = 0; i < kClients; ++i) {
      threads_.emplace_back([this, i] {
        KmsClient client(path_, {.timeout = std::chrono::seconds(10)});
        while (!stop_) Calls(client, i);
      });
    }
  }
  void StopLoad() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  // Until each client has been served by whoever serves now.
  bool AllServed() {
    std::array<int, kClients> before{};
    for (std::size_t i = 0; i < kClients; ++i) before[i] = successes_[i];
    return WaitUntil([&] {
      for (std::size_t i = 0; i < kClients; ++i) {
        // The first one may have been answered by the one before.
        if (successes_[i] < before[i] + 2) return false;
      }
      return true;
    });
  }
  std::vector<std::string> Failures() {
    const std::lock_guard lock(mutex_);
    return failures_;
  }

  const std::string path_;

 private:
  void Calls(KmsClient& client, std::size_t i) {
    Note(i, client.Status().status());
    const auto record = client.Encrypt(plaintext_);
    Note(i, record.status());
    if (!record.ok()) return;
    const auto back = client.Decrypt(*record);
    Note(i, back.status());
    if (back.ok() && *back != plaintext_) Note(i, absl::DataLossError("another plaintext"));
  }
  void Note(std::size_t i, const absl::Status& status) {
    if (status.ok()) {
      ++successes_[i];
      return;
    }
    const std::lock_guard lock(mutex_);
    failures_.push_back(absl::StrCat(i, ": ", status.ToString()));
  }

  const UniqueFd passed_;
  std::string plaintext_;
  std::atomic<bool> stop_ = false;
  std::array<std::atomic<int>, kClients> successes_{};
  std::mutex mutex_;  // guards failures_
  std::vector<std::string> failures_;
  std::vector<std::thread> threads_;
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
  StopLoad();
  EXPECT_THAT(Failures(), IsEmpty());
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
  StopLoad();
  EXPECT_THAT(Failures(), IsEmpty());
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
    const std::vector<std::string> failures = Failures();
    std::array<std::size_t, kClients> lost{};
    for (const std::string& failure : failures) {
      ++lost[static_cast<std::size_t>(failure[0] - '0')];
    }
    for (const std::size_t count : lost) EXPECT_LE(count, 2 * kill);
    ASSERT_TRUE(AllServed());
    EXPECT_EQ(Failures(), failures) << "a call failed after the restart";
  }
  StopLoad();
}

}  // namespace
}  // namespace okms::test
