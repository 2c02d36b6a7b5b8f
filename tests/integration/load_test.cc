// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Many callers while the KMS drops its connections again and again.

#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "integration/http2.h"
#include "integration/rest_plugin_test.h"
#include "integration/unix_socket.h"

namespace okms::test {
namespace {

constexpr int kClients = 8;
constexpr int kRounds = 200;
constexpr int kOperationsPerDrop = 50;

class LoadTest : public PluginTest {};

TEST_F(LoadTest, EverySuccessIsRightWhileConnectionsDrop) {
  StartKms();
  StartReady();
  std::atomic<int> operations = 0;
  std::atomic<int> successes = 0;
  std::atomic<int> failures = 0;
  std::atomic<int> wrong = 0;
  std::atomic<int> late = 0;
  std::vector<std::unique_ptr<KmsClient>> clients;
  clients.reserve(kClients);
  for (int i = 0; i < kClients; ++i) clients.push_back(NewClient());
  std::vector<std::string> plaintexts;
  plaintexts.reserve(kClients * kRounds);
  for (int i = 0; i < kClients * kRounds; ++i) plaintexts.push_back(NewPlaintext());

  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kClients; ++i) {
    threads.emplace_back([&, i] {
      for (std::size_t round = 0; round < kRounds; ++round) {
        const std::string& plaintext = plaintexts[i * kRounds + round];
        const Deadline begin = Clock::now();
        if (++operations % kOperationsPerDrop == 0) kms().DropConnections();
        const auto record = clients[i]->Encrypt(plaintext);
        if (!record.ok()) {
          ++failures;
          continue;
        }
        if (++operations % kOperationsPerDrop == 0) kms().DropConnections();
        const auto back = clients[i]->Decrypt(*record);
        if (!back.ok()) {
          ++failures;
        } else if (*back == plaintext) {
          ++successes;
        } else {
          ++wrong;
        }
        // Two calls of at most 3 seconds each.
        if (Clock::now() - begin > std::chrono::seconds(10)) ++late;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(late, 0);
  // One retry hides nearly all drops; a call that meets two of them fails.
  EXPECT_GE(successes, kClients * kRounds * 9 / 10);
  EXPECT_EQ(successes + failures, kClients * kRounds);
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
  ExpectRoundTrip();
}

TEST_F(LoadTest, CallsBeyondTheSessionsWaitTheirTurn) {
  MockKmsOptions options;
  options.delay = std::chrono::milliseconds(5);
  StartKms(std::move(options));
  StartReady();
  std::vector<std::unique_ptr<KmsClient>> clients;
  std::vector<std::string> plaintexts;
  for (int i = 0; i < 64; ++i) {
    clients.push_back(NewClient());
    plaintexts.push_back(NewPlaintext());
  }
  std::atomic<int> right = 0;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < clients.size(); ++i) {
    threads.emplace_back([&, i] {
      const auto record = clients[i]->Encrypt(plaintexts[i]);
      if (!record.ok()) return;
      const auto back = clients[i]->Decrypt(*record);
      if (back.ok() && *back == plaintexts[i]) ++right;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 64);
}

// Memory of its own, in kB: without what it has of files.
long Own(ChildProcess& plugin) { return std::stol(plugin.ProcStatus("RssAnon")); }

class SettlingTest : public RestPluginTest, public testing::WithParamInterface<const char*> {
 protected:
  static constexpr std::size_t kConnections = 16;
  static constexpr std::size_t kCallsEach = 16;  // at a time

  SettlingTest() {
    if (GetParam() == std::string("Kmip")) {
      UseKmip();
      StartKms();
    } else {
      StartOkms();
    }
    StartReady();
    while (clients_.size() < kConnections) clients_.push_back(NewClient({.timeout = kPatience}));
  }
  // Many calls at once, of connections that stay open.
  void Burst() {
    std::atomic<int> failures = 0;
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < kConnections * kCallsEach; ++i) {
      threads.emplace_back([&, i, plaintext = NewPlaintext()] {
        KmsClient& client = *clients_[i % kConnections];
        const auto record = client.Encrypt(plaintext);
        for (int round = 0; round < 4; ++round) {
          if (!record.ok() || !client.Decrypt(*record).ok()) ++failures;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(failures, 0);
  }

  std::vector<std::unique_ptr<KmsClient>> clients_;
};

// Some of what the first one brings stays: threads, connections, buffers. Not more with each one.
TEST_P(SettlingTest, WhatBurstsTakeIsGivenBack) {
  constexpr long kMore = 3 * 1024;  // kB
  const auto settles = [&](long most) { return WaitUntil([&] { return Own(plugin()) <= most; }); };
  const long before = Own(plugin());
  Burst();
  const long burst = Own(plugin());
  EXPECT_TRUE(settles(burst - (burst - before) / 4))
      << Own(plugin()) << " kB, before: " << before << ", at the end of the burst: " << burst;
  const long after = Own(plugin());
  for (int more = 0; more < 3; ++more) {
    Burst();
    EXPECT_TRUE(settles(after + kMore)) << Own(plugin()) << " kB, after the first: " << after;
  }
}

INSTANTIATE_TEST_SUITE_P(Protocols, SettlingTest, testing::Values("Kmip", "Rest"),
                         [](const auto& protocol) { return std::string(protocol.param); });

// Resident memory, in kB.
long Resident(ChildProcess& plugin) { return std::stol(plugin.ProcStatus("VmRSS")); }

constexpr long kHalfOfMemoryMax = 128 * 1024;  // kB; systemd/*.service.in

class FloodTest : public PluginTest {
 protected:
  FloodTest() {
    StartKms();
    StartReady();
  }

  // As many connections as there may be, each with that many calls, and nobody reads what is
  // answered.
  void Flood(const std::optional<std::string>& message, uint32_t calls_each) {
    std::string calls = Http2SettingsSeen();
    for (uint32_t stream = 1; stream < 2 * calls_each; stream += 2) {
      absl::StrAppend(&calls, Http2Stream("Status", "localhost", stream, message));
    }
    for (int i = 0; i < 120; ++i) {
      connections_.push_back(Must(ConnectUnix(socket())));
      const int fd = connections_.back().get();
      // As any client does, it goes on once it has heard of the server's settings.
      const Heard heard =
          Exchange(fd, Http2Preface(), [](const std::string& bytes) { return bytes.size() >= 9; });
      if (heard.closed) continue;  // one too many
      ++served_;
      ::send(fd, calls.data(), calls.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    }
  }
  void ExpectBoundedAndGivenBack() {
    EXPECT_GT(served_, 50);
    EXPECT_THAT(client().Status(), IsOk());  // its connection was there before
    ExpectRoundTrip();
    EXPECT_LT(Resident(plugin()), kHalfOfMemoryMax);
    connections_.clear();
    EXPECT_TRUE(WaitUntil([&] { return Resident(plugin()) < before_ + 20 * 1024; }))
        << Resident(plugin()) << " kB, before: " << before_;
    ExpectRoundTrip(*NewClient());
  }

  const long before_ = 20 * 1024;  // kB; more than it has after its start
  std::vector<UniqueFd> connections_;
  int served_ = 0;
};

constexpr uint32_t kAsManyAsAllowed = 64;
constexpr uint32_t kMoreThanAllowed = 500;

TEST_F(FloodTest, OfCallsThatAreNeverWhole) {
  Flood(std::nullopt, kAsManyAsAllowed);
  EXPECT_LT(served_, 120) << "there is no limit of connections";
  ExpectBoundedAndGivenBack();
}

TEST_F(FloodTest, OfAnswersThatNobodyReads) {
  Flood("", kAsManyAsAllowed);
  ExpectBoundedAndGivenBack();
}

TEST_F(FloodTest, OfTooManyCallsThatAreNeverWhole) {
  Flood(std::nullopt, kMoreThanAllowed);
  ExpectBoundedAndGivenBack();
}

TEST_F(FloodTest, OfTooManyAnswersThatNobodyReads) {
  Flood("", kMoreThanAllowed);
  ExpectBoundedAndGivenBack();
}

std::ptrdiff_t Descriptors(pid_t pid) {
  const std::filesystem::directory_iterator all(absl::StrCat("/proc/", pid, "/fd"));
  return std::distance(begin(all), end(all));
}

TEST_F(FloodTest, NothingStaysOfConnectionsThatCameAndWent) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can count the plugin's descriptors";
  const std::ptrdiff_t before = Descriptors(plugin().pid());
  for (int i = 0; i < 500; ++i) (void)Must(ConnectUnix(socket()));
  EXPECT_TRUE(WaitUntil([&] { return Descriptors(plugin().pid()) <= before; }))
      << Descriptors(plugin().pid()) << ", before: " << before;
}

}  // namespace
}  // namespace okms::test
