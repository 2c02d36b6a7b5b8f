// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/cached_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "support/count.h"
#include "support/dns_server.h"
#include "support/status_is.h"

namespace okms {
namespace {

using namespace std::chrono_literals;
using test::DnsServer;
using test::StatusIs;
using ::testing::ElementsAre;
using ::testing::StartsWith;
using Code = absl::StatusCode;
using Mode = DnsServer::Mode;

// What the name is told and tells is of the loop's turn.
class CachedNameTest : public ::testing::Test {
 protected:
  CachedNameTest() { Make({"kms.example", 443}); }
  ~CachedNameTest() override {
    loop_->RunInTurn([&] { name_.reset(); });
  }

  void Make(const HostPort& target) {
    loop_->RunInTurn([&] {
      server_->Set(target.host, {"127.0.0.1"});
      name_ = std::make_unique<CachedName>(*loop_, target, traffic_, server_->HostPort());
      name_->OnResult([this] { ++told_; });
    });
  }
  // That went well.
  uint64_t Looks() const { return test::Count(traffic_.resolve.took.Stats()); }
  template <typename Read>
  auto Get(Read&& read) const {
    decltype(read()) value{};
    loop_->RunInTurn([&] { value = read(); });
    return value;
  }
  void Refresh() {
    loop_->RunInTurn([&] { name_->Refresh(); });
  }
  void Suspect() {
    loop_->RunInTurn([&] { name_->Suspect(); });
  }
  bool Looking() const {
    return Get([&] { return name_->looking(); });
  }
  bool Known() const {
    return Get([&] { return name_->known(); });
  }
  absl::Status Error() const {
    return Get([&] { return name_->error(); });
  }
  std::vector<std::string> Texts() const {
    return Get([&] {
      std::vector<std::string> texts;
      for (const Address& address : name_->addresses()) texts.push_back(address.ToString());
      return texts;
    });
  }
  // Until the look-up under way, if any, has been told to be over.
  void Settle() {
    std::promise<void> over;
    loop_->RunInTurn([&] {
      if (!name_->looking()) return over.set_value();
      name_->OnResult([&] {
        ++told_;
        over.set_value();
      });
    });
    over.get_future().wait();
    loop_->RunInTurn([&] { name_->OnResult([this] { ++told_; }); });
  }
  int Told() const {
    return Get([&] { return told_; });
  }

  std::unique_ptr<DnsServer> server_ = std::make_unique<DnsServer>();
  Traffic traffic_;
  std::unique_ptr<IoLoop> loop_ = *IoLoop::Create();
  std::unique_ptr<CachedName> name_;

 private:
  int told_ = 0;
};

TEST_F(CachedNameTest, NothingIsAskedBeforeItIsNeeded) {
  EXPECT_FALSE(Known());
  EXPECT_FALSE(Looking());
  EXPECT_EQ(server_->questions(), 0);
}

TEST_F(CachedNameTest, LearnsTheAddress) {
  Refresh();
  Refresh();  // no second one beside it
  Settle();
  EXPECT_FALSE(Looking());
  EXPECT_THAT(Texts(), ElementsAre("127.0.0.1"));
  EXPECT_EQ(server_->questions(), 2);
  EXPECT_EQ(Told(), 1);
  EXPECT_EQ(Looks(), 1);
  EXPECT_EQ(traffic_.resolve.failed.value(), 0);
}

TEST_F(CachedNameTest, WhatNeedsNoNameServerIsNotToldFromWithinRefresh) {
  Make({"localhost", 443});
  loop_->RunInTurn([&] {
    bool told = false;
    name_->OnResult([&] { told = true; });
    name_->Refresh();
    EXPECT_FALSE(told);
    EXPECT_TRUE(name_->looking());
    name_->OnResult([] {});
  });
  Settle();
  EXPECT_THAT(Texts(), ::testing::Contains("127.0.0.1"));
}

// By TCP, for which c-ares may open a socket by the number of one that it closes.
TEST_F(CachedNameTest, LongAnswersAreLearnedToo) {
  server_->SetMode(Mode::kTruncate);
  const auto begin = Clock::now();
  Refresh();
  Settle();
  EXPECT_THAT(Texts(), ElementsAre("127.0.0.1"));
  EXPECT_LT(Clock::now(), begin + 1s);  // after which it would be looked at anyway
}

TEST_F(CachedNameTest, SilenceIsOverAfterAWhile) {
  server_->SetMode(Mode::kSilent);
  Refresh();
  Settle();
  EXPECT_FALSE(Known());
  EXPECT_THAT(Error(), StatusIs(Code::kUnavailable, StartsWith("cannot resolve kms.example: ")));
}

TEST_F(CachedNameTest, MayGoWhileALookUpIsUnderWay) {
  server_->SetMode(Mode::kSilent);
  Refresh();
  while (server_->questions() == 0) std::this_thread::yield();
  loop_->RunInTurn([&] { name_.reset(); });
  server_ = std::make_unique<DnsServer>();  // the end of the other one is told to nobody
  Make({"kms.example", 443});
  Refresh();
  Settle();
  EXPECT_TRUE(Known());
}

TEST_F(CachedNameTest, WhatIsYoungIsNotAskedAgain) {
  Refresh();
  Settle();
  Refresh();
  EXPECT_FALSE(Looking());
}

TEST_F(CachedNameTest, FailureIsToldAndTriedAgain) {
  server_->SetMode(Mode::kFail);
  Refresh();
  Settle();
  EXPECT_FALSE(Known());
  EXPECT_EQ(Told(), 1);
  EXPECT_THAT(Error(), StatusIs(Code::kUnavailable, StartsWith("cannot resolve kms.example: ")));
  EXPECT_EQ(traffic_.resolve.failed.value(), 1);
  EXPECT_EQ(Looks(), 0);
  server_->SetMode(Mode::kAnswer);
  Refresh();
  Settle();
  EXPECT_TRUE(Known());
}

TEST_F(CachedNameTest, SuspicionAsksAgainButNotAllTheTime) {
  Refresh();
  Settle();
  server_->Set("kms.example", {"127.0.0.9"});
  const auto begin = Clock::now();
  Suspect();
  EXPECT_FALSE(Looking());  // just asked
  while (Told() == 1) {
    std::this_thread::sleep_for(10ms);
    Refresh();
    loop_->RunInTurn([&] {  // it serves meanwhile
      EXPECT_TRUE(!name_->looking() || name_->addresses()[0].ToString() == "127.0.0.1");
    });
    Settle();
  }
  EXPECT_GT(Clock::now(), begin + 500ms);
  EXPECT_LT(Clock::now(), begin + 10s);  // what is young counts for a minute
  EXPECT_THAT(Texts(), ElementsAre("127.0.0.9"));
  // And then all is well again.
  std::this_thread::sleep_for(1100ms);
  Refresh();
  EXPECT_FALSE(Looking());
}

TEST_F(CachedNameTest, LastGoodAnswerServesWhenTheNameServerIsGone) {
  Refresh();
  Settle();
  server_.reset();
  std::this_thread::sleep_for(1100ms);
  Suspect();
  Settle();
  EXPECT_THAT(Error(), StatusIs(Code::kUnavailable, ::testing::_));
  EXPECT_THAT(Texts(), ElementsAre("127.0.0.1"));
}

TEST_F(CachedNameTest, AddressesAreKnown) {
  Make({"2001:db8::1", 443});
  loop_->RunInTurn([&] {
    EXPECT_TRUE(name_->known());
    EXPECT_TRUE(name_->is_address());
    name_->Refresh();
    name_->Suspect();
    EXPECT_FALSE(name_->looking());
  });
  EXPECT_EQ(server_->questions(), 0);
}

}  // namespace
}  // namespace okms
