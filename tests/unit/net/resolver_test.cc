// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "support/dns_server.h"
#include "support/status_is.h"

namespace okms {
namespace {

using namespace std::chrono_literals;
using test::DnsServer;
using test::IsOk;
using test::StatusIs;
using ::testing::ElementsAre;
using Code = absl::StatusCode;
using Mode = DnsServer::Mode;

std::vector<std::string> Texts(const absl::StatusOr<std::vector<Address>>& addresses) {
  std::vector<std::string> texts;
  if (!addresses.ok()) return {addresses.status().ToString()};
  for (const Address& address : *addresses) texts.push_back(address.ToString());
  return texts;
}

Deadline Later() { return Clock::now() + 1h; }
Deadline Soon() { return Clock::now() + 20ms; }

class ResolverTest : public ::testing::Test {
 protected:
  ResolverTest() { server_->Set("kms.example", {"127.0.0.1"}); }

  const Cancellation never_;
  std::unique_ptr<DnsServer> server_ = std::make_unique<DnsServer>();
  Resolver resolver_{{"kms.example", 5696}, server_->HostPort()};
};

TEST_F(ResolverTest, AsksAgainEachTime) {
  EXPECT_THAT(Texts(resolver_.Resolve(Later(), never_)), ElementsAre("127.0.0.1"));
  server_->Set("kms.example", {"127.0.0.9"});
  EXPECT_THAT(Texts(resolver_.Resolve(Later(), never_)), ElementsAre("127.0.0.9"));
}

TEST_F(ResolverTest, PassesTheFailureOnWhenThereNeverWasAnAnswer) {
  Resolver resolver({"other.example", 5696}, server_->HostPort());
  EXPECT_THAT(resolver.Resolve(Later(), never_),
              StatusIs(Code::kUnavailable, "cannot resolve other.example: Domain name not found"));
}

TEST_F(ResolverTest, SilenceEndsWithTheDeadline) {
  server_->SetMode(Mode::kSilent);
  const auto begin = Clock::now();
  EXPECT_THAT(resolver_.Resolve(begin + 100ms, never_),
              StatusIs(Code::kDeadlineExceeded,
                       "cannot resolve kms.example: the name service did not answer in time"));
  EXPECT_GE(Clock::now(), begin + 100ms);
  EXPECT_LT(Clock::now(), begin + 900ms);  // a name server's own time is a second
}

TEST_F(ResolverTest, CancellationEndsASilentLookup) {
  server_->SetMode(Mode::kSilent);
  const Cancellation cancellation;
  std::thread canceller([&] {
    while (server_->questions() == 0) std::this_thread::yield();
    cancellation.Cancel();
  });
  EXPECT_THAT(resolver_.Resolve(Later(), cancellation),
              StatusIs(Code::kCancelled, "the plugin is stopping"));
  canceller.join();
  EXPECT_THAT(resolver_.Resolve(Later(), cancellation), StatusIs(Code::kCancelled, ::testing::_));
}

TEST_F(ResolverTest, CancellationWinsOverTheLastGoodAnswer) {
  ASSERT_THAT(resolver_.Resolve(Later(), never_), IsOk());
  server_->SetMode(Mode::kSilent);
  const Cancellation cancellation;
  cancellation.Cancel();
  EXPECT_THAT(resolver_.Resolve(Later(), cancellation), StatusIs(Code::kCancelled, ::testing::_));
}

TEST_F(ResolverTest, AnswerOfManyAddressesIsCut) {
  std::vector<std::string> many;
  for (int i = 1; i <= 20; ++i) many.push_back("127.0.0." + std::to_string(i));
  server_->Set("kms.example", many);
  const auto first = resolver_.Resolve(Later(), never_);
  EXPECT_EQ(Texts(first).size(), 16u) << "as Lookup has it";
  server_->SetMode(Mode::kFail);
  EXPECT_EQ(Texts(resolver_.Resolve(Later(), never_)), Texts(first));
}

TEST_F(ResolverTest, RecoversWhenTheNameServerComes) {
  server_->SetMode(Mode::kSilent);
  EXPECT_THAT(resolver_.Resolve(Soon(), never_), StatusIs(Code::kDeadlineExceeded, ::testing::_));
  server_->SetMode(Mode::kAnswer);
  EXPECT_THAT(Texts(resolver_.Resolve(Later(), never_)), ElementsAre("127.0.0.1"));
}

TEST_F(ResolverTest, LastGoodAnswerServesWhenTheLookupFails) {
  ASSERT_THAT(resolver_.Resolve(Later(), never_), IsOk());
  server_->Set("kms.example", {"127.0.0.9"});
  server_->SetMode(Mode::kFail);
  EXPECT_THAT(Texts(resolver_.Resolve(Later(), never_)), ElementsAre("127.0.0.1"));
}

TEST_F(ResolverTest, LastGoodAnswerIsTheLatest) {
  ASSERT_THAT(resolver_.Resolve(Later(), never_), IsOk());
  server_->Set("kms.example", {"127.0.0.9"});
  ASSERT_THAT(resolver_.Resolve(Later(), never_), IsOk());
  server_->SetMode(Mode::kFail);
  EXPECT_THAT(Texts(resolver_.Resolve(Later(), never_)), ElementsAre("127.0.0.9"));
}

TEST_F(ResolverTest, LastGoodAnswerServesWhenTheNameServerIsGone) {
  ASSERT_THAT(resolver_.Resolve(Later(), never_), IsOk());
  server_.reset();
  EXPECT_THAT(Texts(resolver_.Resolve(Later(), never_)), ElementsAre("127.0.0.1"));
}

TEST_F(ResolverTest, LastGoodAnswerServesInSilenceAndLeavesTimeToUseIt) {
  ASSERT_THAT(resolver_.Resolve(Later(), never_), IsOk());
  server_->SetMode(Mode::kSilent);
  const auto begin = Clock::now();
  EXPECT_THAT(Texts(resolver_.Resolve(begin + 1600ms, never_)), ElementsAre("127.0.0.1"));
  EXPECT_GE(Clock::now(), begin + 800ms);
  EXPECT_LT(Clock::now(), begin + 1500ms);
}

TEST_F(ResolverTest, LastGoodAnswerServesEvenWithNoTimeLeft) {
  ASSERT_THAT(resolver_.Resolve(Later(), never_), IsOk());
  server_->SetMode(Mode::kSilent);
  EXPECT_THAT(resolver_.Resolve(Clock::now(), never_), IsOk());
}

TEST_F(ResolverTest, MayBeUsedByManyThreads) {
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 10; ++j) good += resolver_.Resolve(Later(), never_).ok() ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 40);
}

TEST_F(ResolverTest, AddressIsAnsweredWithoutALookup) {
  for (const std::string host : {"192.0.2.7", "2001:db8::7"}) {
    Resolver resolver({host, 5696}, server_->HostPort());
    EXPECT_THAT(Texts(resolver.Resolve(Clock::now(), never_)), ElementsAre(host));
  }
  EXPECT_EQ(server_->questions(), 0);
}

TEST(Resolver, NameThatCannotExistIsUnavailable) {
  // RFC 6761: "invalid" never resolves; without a name server the error is another one.
  const Cancellation never;
  Resolver resolver({"name.invalid", 5696});
  EXPECT_THAT(resolver.Resolve(Later(), never),
              StatusIs(Code::kUnavailable, ::testing::StartsWith("cannot resolve name.invalid: ")));
}

}  // namespace
}  // namespace okms
