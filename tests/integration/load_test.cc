// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Many callers while the KMS drops its connections again and again.

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "integration/plugin_test.h"

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

}  // namespace
}  // namespace okms::test
