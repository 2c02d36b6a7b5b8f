// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/resolver.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <condition_variable>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "support/status_is.h"

namespace okms {
namespace {

using namespace std::chrono_literals;
using test::IsOk;
using test::StatusIs;
using ::testing::ElementsAre;

Address Ipv4(const char* text) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  ::inet_pton(AF_INET, text, &in.sin_addr);
  Address address;
  std::memcpy(&address.storage, &in, sizeof in);
  address.size = sizeof in;
  return address;
}

std::vector<std::string> Texts(const std::vector<Address>& addresses) {
  std::vector<std::string> texts;
  for (const Address& address : addresses) texts.push_back(address.ToString());
  return texts;
}

// A name service that answers what the test says, or hangs until it is released.
class NameService {
 public:
  void AnswerWith(absl::StatusOr<std::vector<Address>> answer) {
    const std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
  }
  void Hang() {
    const std::lock_guard lock(mutex_);
    hanging_ = true;
  }
  void Release() {
    const std::lock_guard lock(mutex_);
    hanging_ = false;
    changed_.notify_all();
  }
  int lookups() {
    const std::lock_guard lock(mutex_);
    return lookups_;
  }
  void AwaitLookups(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return lookups_ >= count; });
  }

  absl::StatusOr<std::vector<Address>> Lookup() {
    std::unique_lock lock(mutex_);
    ++lookups_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return !hanging_; });
    return answer_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool hanging_ = false;
  int lookups_ = 0;
  absl::StatusOr<std::vector<Address>> answer_ = std::vector<Address>{Ipv4("192.0.2.1")};
};

class ResolverTest : public ::testing::Test {
 protected:
  ~ResolverTest() override { service_->Release(); }

  // Shared: the look-up thread may outlive the test.
  std::shared_ptr<NameService> service_ = std::make_shared<NameService>();
  Resolver resolver_{{"kms.example", 5696},
                     [service = service_](const HostPort&) { return service->Lookup(); }};
};

Deadline Later() { return Clock::now() + 1h; }
Deadline Soon() { return Clock::now() + 20ms; }

TEST_F(ResolverTest, GivesTheAnswerInItsOrder) {
  service_->AnswerWith(std::vector<Address>{Ipv4("192.0.2.2"), Ipv4("192.0.2.1")});
  const auto addresses = resolver_.Resolve(Later());
  ASSERT_THAT(addresses, IsOk());
  EXPECT_THAT(Texts(*addresses), ElementsAre("192.0.2.2", "192.0.2.1"));
}

TEST_F(ResolverTest, AsksForTheConfiguredTarget) {
  HostPort asked;
  Resolver resolver({"kms.example", 5696}, [&](const HostPort& target) {
    asked = target;
    return std::vector<Address>{Ipv4("192.0.2.1")};
  });
  ASSERT_THAT(resolver.Resolve(Later()), IsOk());
  EXPECT_EQ(asked.ToString(), "kms.example:5696");
}

TEST_F(ResolverTest, AsksAgainEachTime) {
  ASSERT_THAT(resolver_.Resolve(Later()), IsOk());
  service_->AnswerWith(std::vector<Address>{Ipv4("192.0.2.9")});
  const auto addresses = resolver_.Resolve(Later());
  ASSERT_THAT(addresses, IsOk());
  EXPECT_THAT(Texts(*addresses), ElementsAre("192.0.2.9"));
  EXPECT_EQ(service_->lookups(), 2);
}

TEST_F(ResolverTest, PassesTheFailureOnWhenThereNeverWasAnAnswer) {
  service_->AnswerWith(absl::UnavailableError("cannot resolve kms.example: no such name"));
  EXPECT_THAT(resolver_.Resolve(Later()),
              StatusIs(absl::StatusCode::kUnavailable, "cannot resolve kms.example: no such name"));
}

TEST_F(ResolverTest, HangingLookupEndsWithTheDeadline) {
  service_->Hang();
  EXPECT_THAT(resolver_.Resolve(Soon()),
              StatusIs(absl::StatusCode::kDeadlineExceeded,
                       "cannot resolve kms.example: the name service did not answer in time"));
}

TEST_F(ResolverTest, OneLookupAtATimeHoweverManyWait) {
  service_->Hang();
  EXPECT_THAT(resolver_.Resolve(Soon()),
              StatusIs(absl::StatusCode::kDeadlineExceeded, ::testing::_));
  EXPECT_THAT(resolver_.Resolve(Soon()),
              StatusIs(absl::StatusCode::kDeadlineExceeded, ::testing::_));
  service_->AwaitLookups(1);
  EXPECT_EQ(service_->lookups(), 1);
}

TEST_F(ResolverTest, WaiterGetsTheAnswerOfALookupThatAnotherBegan) {
  service_->Hang();
  EXPECT_THAT(resolver_.Resolve(Soon()),
              StatusIs(absl::StatusCode::kDeadlineExceeded, ::testing::_));
  std::thread releaser([&] {
    service_->AwaitLookups(1);
    service_->Release();
  });
  const auto addresses = resolver_.Resolve(Later());
  releaser.join();
  ASSERT_THAT(addresses, IsOk());
  EXPECT_THAT(Texts(*addresses), ElementsAre("192.0.2.1"));
}

TEST_F(ResolverTest, LastGoodAnswerServesWhenTheLookupFails) {
  ASSERT_THAT(resolver_.Resolve(Later()), IsOk());
  service_->AnswerWith(absl::UnavailableError("no name server"));
  const auto addresses = resolver_.Resolve(Later());
  ASSERT_THAT(addresses, IsOk());
  EXPECT_THAT(Texts(*addresses), ElementsAre("192.0.2.1"));
}

TEST_F(ResolverTest, LastGoodAnswerServesWhenTheLookupHangsAndLeavesTimeToUseIt) {
  ASSERT_THAT(resolver_.Resolve(Later()), IsOk());
  service_->Hang();
  // Long enough that the half which must be left cannot be used up by a slow machine alone.
  const Deadline deadline = Clock::now() + 2s;
  const auto addresses = resolver_.Resolve(deadline);
  EXPECT_FALSE(Expired(deadline));
  ASSERT_THAT(addresses, IsOk());
  EXPECT_THAT(Texts(*addresses), ElementsAre("192.0.2.1"));
}

TEST_F(ResolverTest, LastGoodAnswerServesEvenWithNoTimeLeft) {
  ASSERT_THAT(resolver_.Resolve(Later()), IsOk());
  service_->Hang();
  EXPECT_THAT(resolver_.Resolve(Clock::now()), IsOk());
}

TEST_F(ResolverTest, MayGoWhileALookupHangs) {
  service_->Hang();
  {
    Resolver resolver({"kms.example", 5696},
                      [service = service_](const HostPort&) { return service->Lookup(); });
    EXPECT_THAT(resolver.Resolve(Soon()),
                StatusIs(absl::StatusCode::kDeadlineExceeded, ::testing::_));
  }
  service_->AwaitLookups(1);
}

TEST(Resolver, AddressIsAnsweredWithoutALookup) {
  for (const std::string host : {"192.0.2.7", "2001:db8::7"}) {
    Resolver resolver({host, 5696}, [](const HostPort&) -> absl::StatusOr<std::vector<Address>> {
      ADD_FAILURE() << "a look-up";
      return absl::InternalError("a look-up");
    });
    const auto addresses = resolver.Resolve(Clock::now());
    ASSERT_THAT(addresses, IsOk()) << host;
    EXPECT_THAT(Texts(*addresses), ElementsAre(host));
  }
}

TEST(Resolver, AddressCarriesThePort) {
  Resolver resolver({"192.0.2.7", 5696});
  const auto addresses = resolver.Resolve(Later());
  ASSERT_THAT(addresses, IsOk());
  sockaddr_in in{};
  std::memcpy(&in, &addresses->front().storage, sizeof in);
  EXPECT_EQ(ntohs(in.sin_port), 5696);
}

TEST(Resolver, NameThatCannotExistIsUnavailable) {
  // RFC 6761: "invalid" never resolves; without a name server the error is another one.
  Resolver resolver({"name.invalid", 5696});
  EXPECT_THAT(resolver.Resolve(Later()),
              StatusIs(absl::StatusCode::kUnavailable,
                       ::testing::StartsWith("cannot resolve name.invalid: ")));
}

TEST(Address, WithoutAFamilyIsAQuestionMark) { EXPECT_EQ(Address().ToString(), "?"); }

}  // namespace
}  // namespace okms
