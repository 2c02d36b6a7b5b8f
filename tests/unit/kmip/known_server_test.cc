// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "kmip/known_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace okms::kmip {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

constexpr ProtocolVersion kV11{1, 1};
constexpr ProtocolVersion kV12{1, 2};
constexpr ProtocolVersion kV13{1, 3};
constexpr ProtocolVersion kV14{1, 4};

class KnownServerTest : public ::testing::Test {
 protected:
  std::vector<std::string> Headers() const {
    std::vector<std::string> headers;
    for (const ProtocolVersion header : known_.Headers(now_)) headers.push_back(header.ToString());
    return headers;
  }
  std::string First() const { return Headers().front(); }
  // The headers that connections begin with, each of which the server hangs up on.
  std::vector<std::string> Begun(int connections, Clock::duration pause = 0s) {
    std::vector<std::string> begun;
    for (int i = 0; i < connections; ++i) {
      begun.push_back(First());
      known_.HungUpOn(known_.Headers(now_).front(), now_);
      now_ += pause;
    }
    return begun;
  }

  KnownServer known_;
  Clock::time_point now_ = Clock::time_point() + 24h;
};

TEST_F(KnownServerTest, HeadersBeginWhereDiscoverVersionsIsLikeliest) {
  EXPECT_THAT(Headers(), ElementsAre("1.1", "1.4", "1.3", "1.2", "1.0"));
}

TEST_F(KnownServerTest, HeaderThatWorkedComesFirst) {
  known_.SetHeader(kV13);
  EXPECT_THAT(Headers(), ElementsAre("1.3", "1.1", "1.4", "1.2", "1.0"));
}

TEST_F(KnownServerTest, HeadersThatWereHungUpOnComeLast) {
  known_.HungUpOn(kV11, now_);
  EXPECT_THAT(Headers(), ElementsAre("1.4", "1.3", "1.2", "1.1", "1.0"));
  known_.HungUpOn(kV13, now_);
  known_.HungUpOn(kV13, now_);
  EXPECT_THAT(Headers(), ElementsAre("1.4", "1.2", "1.1", "1.3", "1.0"));
}

TEST_F(KnownServerTest, ConnectionsThatBeginAtOnceCountOnce) {
  for (int i = 0; i < 5; ++i) known_.HungUpOn(kV11, now_);
  EXPECT_EQ(First(), "1.4");
}

TEST_F(KnownServerTest, EachConnectionBeginsWithAnotherHeader) {
  EXPECT_THAT(Begun(7), ElementsAre("1.1", "1.4", "1.3", "1.2", "1.0", "1.1", "1.4"));
}

TEST_F(KnownServerTest, ServerThatWasNegotiatedWithIsNotTakenForOneOf10) {
  known_.Negotiated(kV14);
  EXPECT_THAT(Begun(6), ElementsAre("1.1", "1.4", "1.3", "1.2", "1.1", "1.4"));
  known_.SetHeader(kV12);
  known_.Negotiated(kV14);
  EXPECT_THAT(Begun(6, 1h), ElementsAre("1.2", "1.1", "1.4", "1.3", "1.2", "1.1"));
}

TEST_F(KnownServerTest, HangUpsOfLongAgoAreForgottenBeforeAVersionWasNegotiated) {
  EXPECT_THAT(Begun(3), ElementsAre("1.1", "1.4", "1.3"));
  now_ += 10s;
  EXPECT_THAT(Begun(3), ElementsAre("1.1", "1.4", "1.3"));
  EXPECT_THAT(Begun(3, 10s), ElementsAre("1.2", "1.1", "1.1"));
}

TEST_F(KnownServerTest, NegotiationEndsTheSearch) {
  Begun(2);
  known_.Negotiated(kV12);
  EXPECT_EQ(First(), "1.1");
}

TEST_F(KnownServerTest, OneDialForEachHeaderAndOneForAnAccident) {
  EXPECT_EQ(known_.MostDials(), 6);
  known_.Negotiated(kV14);
  EXPECT_EQ(known_.MostDials(), 2);
  known_.ForgetVersion(kV14);
  EXPECT_EQ(known_.MostDials(), 2);
}

TEST_F(KnownServerTest, VersionIsForgottenAfterTwoHangUpsInARow) {
  known_.Negotiated(kV14);
  known_.HungUp(kV14);
  known_.Answered();
  known_.HungUp(kV14);
  EXPECT_EQ(known_.version(), kV14);
  known_.HungUp(kV14);
  EXPECT_EQ(known_.version(), std::nullopt);
  EXPECT_TRUE(known_.was_negotiated());
}

TEST_F(KnownServerTest, NegotiationForgivesHangUps) {
  known_.Negotiated(kV14);
  known_.HungUp(kV14);
  known_.Negotiated(kV14);
  known_.HungUp(kV14);
  EXPECT_EQ(known_.version(), kV14);
}

TEST_F(KnownServerTest, WhatIsSaidOfAnOlderVersionIsNotHeldAgainstTheNewOne) {
  known_.Negotiated(kV14);
  known_.Negotiated(kV12);
  known_.ForgetVersion(kV14);
  known_.HungUp(kV14);
  known_.HungUp(kV14);
  EXPECT_EQ(known_.version(), kV12);
  known_.ForgetVersion(kV12);
  EXPECT_EQ(known_.version(), std::nullopt);
}

TEST_F(KnownServerTest, RefusedBatchMeansOneItemForTenMinutes) {
  EXPECT_EQ(known_.MostItems(now_), 16U);
  known_.BatchRefused(now_);
  EXPECT_EQ(known_.MostItems(now_), 1U);
  EXPECT_EQ(known_.MostItems(now_ + 10min - 1s), 1U);
  EXPECT_EQ(known_.MostItems(now_ + 10min), 16U);
}

TEST_F(KnownServerTest, TwoLostBatchesInARowMeanOneItem) {
  known_.BatchLost(now_);
  known_.BatchAnswered();
  known_.BatchLost(now_);
  EXPECT_EQ(known_.MostItems(now_), 16U);
  known_.BatchLost(now_);
  EXPECT_EQ(known_.MostItems(now_), 16U) << "nothing was answered meanwhile: it may be the same";
  known_.SingleAnswered();
  known_.BatchLost(now_ + 1h);
  EXPECT_EQ(known_.MostItems(now_ + 1h), 1U);
  // And it begins anew.
  known_.BatchLost(now_ + 2h);
  EXPECT_EQ(known_.MostItems(now_ + 2h), 16U);
}

TEST_F(KnownServerTest, IdsDifferAndDoNotBeginWhereThoseOfAnotherProcessDo) {
  KnownServer other;
  const uint64_t first = known_.NewId();
  EXPECT_NE(known_.NewId(), first);
  EXPECT_NE(other.NewId(), first);
}

}  // namespace
}  // namespace okms::kmip
