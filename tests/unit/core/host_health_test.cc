// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/host_health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "support/status_is.h"

namespace okms {
namespace {

using namespace std::chrono_literals;
using test::IsOk;
using test::StatusIs;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using Code = absl::StatusCode;
using Standing = HostHealth::Standing;

class HostHealthTest : public testing::Test {
 protected:
  HostHealthTest() {
    health_.BeginProbes(now_);
    for (const std::size_t host : {0u, 1u}) health_.EndProbe(host, true, now_, 0);
  }

  const HostHealth::Host& Host(std::size_t host) const { return health_.hosts()[host]; }
  void Fail(std::size_t host) { health_.Failed(host, absl::UnavailableError("no"), now_); }
  // Waits for its probe; returns for how long.
  Clock::duration Probe(std::size_t host, bool good, uint8_t jitter = 0) {
    const Deadline from = now_;
    now_ = Host(host).next_probe;
    for (const std::size_t due : health_.BeginProbes(now_)) {
      health_.EndProbe(due, due == host ? good : true, now_, jitter);
    }
    return now_ - from;
  }
  std::vector<std::string> Lines() {
    std::vector<std::string> lines;
    for (const Event& event : health_.TakeEvents()) lines.push_back(event.text);
    return lines;
  }

  Deadline now_ = Clock::now();
  HostHealth health_{{"a", "b"}, now_};
};

TEST_F(HostHealthTest, AllAreUpAndProbedEachHalfMinute) {
  EXPECT_EQ(Host(0).standing, Standing::kUp);
  EXPECT_THAT(Host(0).trouble, IsOk());
  EXPECT_EQ(health_.NextProbe(), now_ + 30s);
  EXPECT_THAT(health_.BeginProbes(now_ + 30s - 1ms), IsEmpty());
  EXPECT_THAT(health_.BeginProbes(now_ + 30s), ElementsAre(0, 1));
  EXPECT_EQ(health_.NextProbe(), Deadline::max()) << "they are under way";
  EXPECT_THAT(health_.BeginProbes(now_ + 90s), IsEmpty());
  health_.EndProbe(1, true, now_ + 31s, 255);
  EXPECT_GT(health_.NextProbe(), now_ + 31s + 22s);
  EXPECT_LT(health_.NextProbe(), now_ + 31s + 23s);
}

TEST_F(HostHealthTest, WhoIsOutIsProbedSoonAndBackAfterTwoGoodOnes) {
  Fail(0);
  EXPECT_EQ(Host(0).standing, Standing::kOut);
  EXPECT_EQ(Host(0).since, now_);
  EXPECT_EQ(Probe(0, true), 2s);
  EXPECT_EQ(Probe(0, false), 2s);
  EXPECT_EQ(Probe(0, true), 2s);
  EXPECT_EQ(Host(0).standing, Standing::kOut);
  EXPECT_EQ(Probe(0, true), 2s);
  EXPECT_EQ(Host(0).standing, Standing::kUp);
  EXPECT_EQ(Host(0).since, now_);
  EXPECT_THAT(Host(0).trouble, IsOk());
  EXPECT_THAT(Lines(),
              ElementsAre("a is out: UNAVAILABLE: no; b serves", "a is back after 8 s; a serves"));
  EXPECT_EQ(Host(0).next_probe, now_ + 30s);
}

TEST_F(HostHealthTest, AProbeThatBeganBeforeTellsNothing) {
  health_.ProbeSoon(now_);
  EXPECT_THAT(health_.BeginProbes(now_), ElementsAre(0, 1));
  now_ += 1ms;
  Fail(0);
  health_.EndProbe(0, true, now_, 0);
  Probe(0, true);
  EXPECT_EQ(Host(0).standing, Standing::kOut);
}

TEST_F(HostHealthTest, AFailureBetweenTwoGoodProbesCounts) {
  Fail(0);
  Probe(0, true);
  Fail(0);
  Probe(0, true);
  EXPECT_EQ(Host(0).standing, Standing::kOut);
}

TEST_F(HostHealthTest, TheLastTroubleIsKnownAndTheFirstOneLogged) {
  Fail(0);
  const Deadline since = now_;
  now_ += 1s;
  health_.Failed(0, absl::DataLossError("noise"), now_);
  EXPECT_THAT(Host(0).trouble, StatusIs(Code::kDataLoss, "noise"));
  EXPECT_EQ(Host(0).since, since);
  EXPECT_THAT(Lines(), SizeIs(1));
}

TEST_F(HostHealthTest, ToDisagreeIsWorseThanToFail) {
  Fail(0);
  health_.Disagrees(0, absl::NotFoundError("no key"), now_);
  Fail(0);
  health_.Disagrees(0, absl::NotFoundError("no key"), now_);
  EXPECT_EQ(Host(0).standing, Standing::kDisagrees);
  EXPECT_THAT(Host(0).trouble, StatusIs(Code::kNotFound, "no key"));
  EXPECT_THAT(Lines(),
              ElementsAre("a is out: UNAVAILABLE: no; b serves",
                          "a disagrees, and is not used to encrypt: NOT_FOUND: no key; b serves"));
}

TEST_F(HostHealthTest, WhoGoesOutAgainSoonIsProbedLess) {
  for (const auto interval : {2s, 4s, 8s, 16s, 32s, 64s, 64s}) {
    Fail(0);
    EXPECT_EQ(Probe(0, true), interval);
    EXPECT_EQ(Probe(0, true), interval);
    ASSERT_EQ(Host(0).standing, Standing::kUp);
  }
  now_ += 60s;  // it has stayed
  Fail(0);
  EXPECT_EQ(Probe(0, true), 2s);
}

TEST_F(HostHealthTest, WhenNoneIsUpThatIsSaid) {
  Fail(1);
  Fail(0);
  EXPECT_THAT(Lines(),
              ElementsAre("b is out: UNAVAILABLE: no; a serves",
                          "a is out: UNAVAILABLE: no; none is up, so calls try one after the "
                          "other"));
}

}  // namespace
}  // namespace okms
