// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// TlsConnector and its channels for tests, which wait for what the loop does.

#ifndef OKMS_TESTS_UNIT_NET_TLS_CLIENT_H_
#define OKMS_TESTS_UNIT_NET_TLS_CLIENT_H_

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "net/io_loop.h"
#include "net/tls_connector.h"
#include "support/temp_dir.h"
#include "support/test_pki.h"
#include "unit/net/tls_server.h"

namespace okms::test {

inline Deadline Later() { return Clock::now() + std::chrono::hours(1); }
inline Deadline Soon() { return Clock::now() + std::chrono::milliseconds(20); }

// Of its own for another thread: Abseil counts the users of a status where the thread sanitizer
// does not see it.
inline absl::Status Copy(const absl::Status& status) { return {status.code(), status.message()}; }

// A channel and what was told of it.
class Talk : public Channel::Listener {
 public:
  Talk(IoLoop& loop, std::unique_ptr<Channel> channel) : loop_(loop), channel_(std::move(channel)) {
    channel_->SetListener(this);
  }
  ~Talk() override {
    loop_.RunInTurn([&] { channel_.reset(); });
  }

  void Send(absl::string_view text) {
    loop_.RunInTurn([&] { channel_->Send(AsBytes(text)); });
  }
  // Waits until as many bytes have come, and takes all that have; or why there are no more.
  absl::StatusOr<std::string> Receive(std::size_t size = 1) {
    std::unique_lock lock(mutex_);
    news_.wait(lock, [&] { return received_.size() >= size || closed_; });
    if (received_.size() < size) return *closed_;
    return std::exchange(received_, "");
  }
  absl::StatusOr<std::string> Ask(absl::string_view text) {
    Send(text);
    return Receive(text.size());
  }
  absl::Status WaitUntilClosed() {
    std::unique_lock lock(mutex_);
    news_.wait(lock, [&] { return closed_.has_value(); });
    return *closed_;
  }
  // Nothing has come that was not taken, and the channel is open.
  bool IsQuiet() const {
    const std::lock_guard lock(mutex_);
    return received_.empty() && !closed_;
  }
  // Of the loop's turn.
  Channel& channel() { return *channel_; }

 private:
  void Received(ByteView bytes) override {
    EXPECT_TRUE(loop_.InTurn());
    EXPECT_FALSE(bytes.empty());
    const std::lock_guard lock(mutex_);
    EXPECT_FALSE(closed_);
    absl::StrAppend(&received_, AsText(bytes));
    news_.notify_all();
  }
  void Closed(absl::Status why) override {
    EXPECT_TRUE(loop_.InTurn());
    EXPECT_FALSE(why.ok());
    const std::lock_guard lock(mutex_);
    EXPECT_FALSE(closed_);
    closed_ = Copy(why);
    news_.notify_all();
  }

  IoLoop& loop_;
  std::unique_ptr<Channel> channel_;
  mutable std::mutex mutex_;
  std::condition_variable news_;
  std::string received_;
  std::optional<absl::Status> closed_;
};

// A connector on a loop of its own.
class TlsClient {
 public:
  explicit TlsClient(HostPort target, std::shared_ptr<const TlsContext> context,
                     std::string name_servers = "")
      : connector_(std::make_unique<TlsConnector>(*loop_, std::move(target), std::move(context),
                                                  traffic_, std::move(name_servers))) {}
  ~TlsClient() {
    loop_->RunInTurn([&] {
      opening_.reset();
      connector_.reset();
    });
  }

  using Dialled = absl::StatusOr<std::unique_ptr<Talk>>;

  // Begins to open a channel. One at a time; the one before is given up.
  std::future<Dialled> Begin(Deadline deadline = Later()) {
    auto promise = std::make_shared<std::promise<Dialled>>();
    std::future<Dialled> future = promise->get_future();
    loop_->RunInTurn([&] {
      opening_.reset();
      opens_ = true;
      opening_ = connector_->Open(
          deadline, [this, promise](absl::StatusOr<std::unique_ptr<Channel>> channel) {
            EXPECT_TRUE(loop_->InTurn());
            EXPECT_FALSE(opens_) << "before Open returned";
            promise->set_value(channel.ok()
                                   ? Dialled(std::make_unique<Talk>(*loop_, *std::move(channel)))
                                   : Copy(channel.status()));
          });
      opens_ = false;
    });
    return future;
  }
  Dialled Dial(Deadline deadline = Later()) { return Begin(deadline).get(); }
  // Gives up what Begin began.
  void GiveUp() {
    loop_->RunInTurn([&] { opening_.reset(); });
  }

  IoLoop& loop() { return *loop_; }
  const Traffic& traffic() const { return traffic_; }
  // Of the loop's turn.
  TlsConnector& connector() { return *connector_; }

 private:
  Traffic traffic_;
  std::unique_ptr<IoLoop> loop_ = *IoLoop::Create();
  std::unique_ptr<TlsConnector> connector_;
  std::unique_ptr<Opening> opening_;
  bool opens_ = false;
};

// Certificates, and a client of a server that has one of them.
class TlsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { ::signal(SIGPIPE, SIG_IGN); }  // as the program does

  std::shared_ptr<const TlsContext> Context(const std::string& ca = {}) const {
    auto context = TlsContext::Create({{"--client-cert", client_.certificate},
                                       {"--client-key", client_.key},
                                       {"--ca", ca.empty() ? pki_.ca() : ca}});
    EXPECT_TRUE(context.ok()) << context.status();
    return *std::move(context);
  }
  TlsServerOptions Options() const { return {.identity = server_, .client_ca = pki_.ca()}; }
  // The client is anew each time.
  TlsClient& Client(uint16_t port, const std::string& host = "127.0.0.1",
                    const std::string& ca = {}) {
    return client_of_test_.emplace(HostPort{host, port}, Context(ca), name_servers_);
  }
  TlsClient::Dialled Dial(const TlsServer& server, const std::string& host = "127.0.0.1") {
    return Client(server.port(), host).Dial();
  }

  TempDir directory_;
  TestPki pki_ = *TestPki::Create(directory_.path());
  KeyPairFiles client_ = *pki_.Issue("client", {.common_name = "client one"});
  KeyPairFiles server_ = *pki_.Issue(
      "server",
      {.common_name = "server", .names = {"DNS:localhost", "IP:127.0.0.1"}, .for_server = true});
  std::string name_servers_;  // as Lookup takes them
  std::optional<TlsClient> client_of_test_;
};

// The same with one version of TLS.
class TlsVersionTest : public TlsTest, public ::testing::WithParamInterface<int> {
 protected:
  TlsServerOptions Options() const {
    TlsServerOptions options = TlsTest::Options();
    options.min_version = options.max_version = GetParam();
    return options;
  }
};

inline std::string TlsVersionName(const ::testing::TestParamInfo<int>& test) {
  return test.param == TLS1_2_VERSION ? "Tls12" : "Tls13";
}

}  // namespace okms::test

#endif  // OKMS_TESTS_UNIT_NET_TLS_CLIENT_H_
