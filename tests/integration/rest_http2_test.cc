// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// REST over HTTP/2 through nginx, and over connections that fall silent.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <future>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "integration/http_front.h"
#include "integration/relay.h"
#include "integration/rest_plugin_test.h"

namespace okms::test {
namespace {

class RestHttp2Test : public RestPluginTest, public testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    OKMS_REQUIRE_NGINX();
    StartOkms();
    front_ = Must(HttpFront::Start({.upstream_port = port(),
                                    .ca = pki_.ca(),
                                    .server = server_pair_,
                                    .client = client_pair_,
                                    .http2 = GetParam()}));
    flags_["--serv-addr"] = front_->url();
  }

  // All clients at once, each with a round trip of its own; how many came back right.
  int RoundTripsAtOnce(std::size_t count) {
    std::vector<std::unique_ptr<KmsClient>> clients;
    std::vector<std::string> plaintexts;
    for (std::size_t i = 0; i < count; ++i) {
      clients.push_back(NewClient());
      plaintexts.push_back(NewPlaintext());
    }
    std::atomic<int> right = 0;
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < count; ++i) {
      threads.emplace_back([&, i] {
        const auto record = clients[i]->Encrypt(plaintexts[i]);
        if (!record.ok()) return;
        const auto back = clients[i]->Decrypt(*record);
        if (back.ok() && *back == plaintexts[i]) ++right;
      });
    }
    for (std::thread& thread : threads) thread.join();
    return right;
  }

  // The client's connections that nginx passed the first so many encryptions on from.
  std::set<std::string> Connections(std::size_t encryptions) {
    std::set<std::string> connections;
    for (const RestRequest& request : okms().Requests()) {
      EXPECT_EQ(request.Header("X-Front-Protocol"), GetParam() ? "HTTP/2.0" : "HTTP/1.1");
      if (!absl::StrContains(request.target, "/encrypt") || encryptions-- == 0) continue;
      connections.insert(request.Header("X-Front-Connection"));
    }
    return connections;
  }

  std::unique_ptr<HttpFront> front_;
};

TEST_P(RestHttp2Test, ManyCallsShareFewConnections) {
  constexpr std::size_t kCalls = 64;
  const std::size_t at_once = GetParam() ? kCalls : 32;
  StartReady();
  okms().ClearRequests();
  okms().Hold();
  auto right = std::async(std::launch::async, [this] { return RoundTripsAtOnce(kCalls); });
  EXPECT_TRUE(okms().AwaitHeld(at_once, kPatience));
  okms().Release();
  EXPECT_EQ(right.get(), int{kCalls});
  // A check of the key that came just then has a connection of its own.
  const std::size_t connections = Connections(kCalls).size();
  EXPECT_GE(connections, GetParam() ? 1U : 31U);
  EXPECT_LE(connections, GetParam() ? 2U : 33U);
}

TEST_P(RestHttp2Test, ServerThatStopsAndGoesOn) {
  StartReady();
  front_->Pause();
  EXPECT_THAT(client().Encrypt(NewPlaintext()), StatusIs(Code::kDeadlineExceeded, testing::_));
  front_->Resume();
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
  ExpectRoundTrip();
}

INSTANTIATE_TEST_SUITE_P(Versions, RestHttp2Test, testing::Bool(),
                         [](const auto& version) { return version.param ? "Http2" : "Http1"; });

// How often a text stands in the memory that a process may write to; -1 when we may not look.
int CountInMemory(pid_t pid, const std::string& text) {
  std::ifstream maps(absl::StrCat("/proc/", pid, "/maps"));
  const UniqueFd memory(::open(absl::StrCat("/proc/", pid, "/mem").c_str(), O_RDONLY | O_CLOEXEC));
  if (!maps || !memory) return -1;
  int count = 0;
  for (std::string line; std::getline(maps, line);) {
    uint64_t begin = 0;
    uint64_t end = 0;
    std::istringstream fields(line);
    std::string mode;
    char dash = 0;
    fields >> std::hex >> begin >> dash >> end >> mode;
    if (!absl::StartsWith(mode, "rw")) continue;
    std::string bytes(end - begin, '\0');
    const ssize_t read =
        ::pread(memory.get(), bytes.data(), bytes.size(), static_cast<off_t>(begin));
    bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(0, read)));
    for (auto at = bytes.find(text); at != std::string::npos; at = bytes.find(text, at + 1)) {
      ++count;
    }
  }
  return count;
}

// libcurl's buffers for HTTP/2 live as long as their connection, and keep what came.
class RestBuffersTest : public RestHttp2Test {};

TEST_P(RestBuffersTest, NoPlaintextStaysInThem) {
  StartReady();
  const std::string plaintext = NewPlaintext(48);  // as many as make base64 without padding
  const std::string encoded = absl::Base64Escape(plaintext);
  const auto record = client().Encrypt(plaintext);
  ASSERT_THAT(record, IsOk());
  ASSERT_THAT(client().Decrypt(*record), IsOk());
  const auto answered = Clock::now();
  if (CountInMemory(plugin().pid(), encoded) < 0) GTEST_SKIP() << "no look into the plugin";
  EXPECT_TRUE(WaitUntil([&] { return CountInMemory(plugin().pid(), encoded) == 0; }));
  // Long before the plugin's own checks use the connection again.
  EXPECT_LT(Clock::now() - answered, std::chrono::seconds(3));
  ExpectRoundTrip();
}

INSTANTIATE_TEST_SUITE_P(, RestBuffersTest, testing::Values(true),
                         [](const auto&) { return std::string("Http2"); });

// A connection that still acknowledges but passes nothing on, as some firewalls leave behind. With
// HTTP/2 the next call would go by the same connection.
class SilentConnectionTest : public RestHttp2Test {
 protected:
  void SetUp() override {
    RestHttp2Test::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    relay_ = Must(Relay::Start(front_->port()));
    flags_["--serv-addr"] = absl::StrCat("https://127.0.0.1:", relay_->port());
  }
  std::unique_ptr<Relay> relay_;
};

TEST_P(SilentConnectionTest, IsNotUsedAgain) {
  StartReady();
  ExpectRoundTrip();
  relay_->SwallowConnections();
  EXPECT_THAT(client().Encrypt(NewPlaintext()), StatusIs(Code::kDeadlineExceeded, testing::_));
  ExpectRoundTrip();
}

INSTANTIATE_TEST_SUITE_P(Versions, SilentConnectionTest, testing::Bool(),
                         [](const auto& version) { return version.param ? "Http2" : "Http1"; });

}  // namespace
}  // namespace okms::test
