// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "http/cached_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "support/dns_server.h"
#include "support/status_is.h"

namespace okms::http {
namespace {

using namespace std::chrono_literals;
using okms::test::DnsServer;
using okms::test::IsOk;
using okms::test::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Code = absl::StatusCode;
using Mode = DnsServer::Mode;

class CachedNameTest : public ::testing::Test {
 protected:
  CachedNameTest() { server_->Set("kms.example", {"127.0.0.1"}); }

  // Until the look-up under way, if any, is over.
  void Settle() {
    while (const Lookup* lookup = name_.lookup()) {
      std::vector<pollfd> descriptors = lookup->Descriptors();
      ::poll(descriptors.data(), descriptors.size(), PollTimeout(lookup->NextTime()));
      name_.Process();
    }
  }
  std::vector<std::string> Texts() const {
    std::vector<std::string> texts;
    for (const Address& address : name_.addresses()) texts.push_back(address.ToString());
    return texts;
  }

  std::unique_ptr<DnsServer> server_ = std::make_unique<DnsServer>();
  CachedName name_{{"kms.example", 443}, server_->HostPort()};
};

TEST_F(CachedNameTest, NothingIsAskedBeforeItIsNeeded) {
  EXPECT_FALSE(name_.known());
  EXPECT_EQ(name_.lookup(), nullptr);
  name_.Process();
  EXPECT_EQ(server_->questions(), 0);
}

TEST_F(CachedNameTest, LearnsTheAddress) {
  name_.Refresh();
  EXPECT_NE(name_.lookup(), nullptr);
  name_.Refresh();  // no second one beside it
  Settle();
  EXPECT_THAT(Texts(), ElementsAre("127.0.0.1"));
  EXPECT_EQ(server_->questions(), 2);
}

TEST_F(CachedNameTest, WhatIsYoungIsNotAskedAgain) {
  name_.Refresh();
  Settle();
  name_.Refresh();
  EXPECT_EQ(name_.lookup(), nullptr);
}

TEST_F(CachedNameTest, FailureIsToldAndTriedAgain) {
  server_->SetMode(Mode::kFail);
  name_.Refresh();
  Settle();
  EXPECT_FALSE(name_.known());
  EXPECT_THAT(name_.error(),
              StatusIs(Code::kUnavailable, ::testing::StartsWith("cannot resolve kms.example: ")));
  server_->SetMode(Mode::kAnswer);
  name_.Refresh();
  Settle();
  EXPECT_TRUE(name_.known());
}

TEST_F(CachedNameTest, SuspicionAsksAgainButNotAllTheTime) {
  name_.Refresh();
  Settle();
  server_->Set("kms.example", {"127.0.0.9"});
  const auto begin = Clock::now();
  name_.Suspect();
  EXPECT_EQ(name_.lookup(), nullptr);  // just asked
  while (name_.lookup() == nullptr) {
    std::this_thread::sleep_for(10ms);
    name_.Refresh();
  }
  EXPECT_GT(Clock::now(), begin + 500ms);
  EXPECT_LT(Clock::now(), begin + 10s);            // what is young counts for a minute
  EXPECT_THAT(Texts(), ElementsAre("127.0.0.1"));  // it serves meanwhile
  Settle();
  EXPECT_THAT(Texts(), ElementsAre("127.0.0.9"));
  // And then all is well again.
  std::this_thread::sleep_for(1100ms);
  name_.Refresh();
  EXPECT_EQ(name_.lookup(), nullptr);
}

TEST_F(CachedNameTest, LastGoodAnswerServesWhenTheNameServerIsGone) {
  name_.Refresh();
  Settle();
  server_.reset();
  std::this_thread::sleep_for(1100ms);
  name_.Suspect();
  Settle();
  EXPECT_THAT(name_.error(), StatusIs(Code::kUnavailable, ::testing::_));
  EXPECT_THAT(Texts(), ElementsAre("127.0.0.1"));
}

TEST_F(CachedNameTest, AddressesAreKnown) {
  CachedName name({"2001:db8::1", 443}, server_->HostPort());
  EXPECT_TRUE(name.known());
  EXPECT_TRUE(name.is_address());
  name.Refresh();
  name.Suspect();
  EXPECT_EQ(name.lookup(), nullptr);
}

}  // namespace
}  // namespace okms::http
