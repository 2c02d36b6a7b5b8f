// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "support/status_is.h"
#include "support/temp_dir.h"
#include "support/test_pki.h"

namespace okms {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;

constexpr std::time_t kHour = 3600;
constexpr std::time_t kDay = 24 * kHour;

class CredentialsTest : public ::testing::Test {
 protected:
  CredentialsTest() : pki_(*test::TestPki::Create(directory_.path())) {}

  Credentials Valid(long from, long until) {
    const auto pair =
        *pki_.Issue("client", {.common_name = "c", .valid_from = from, .valid_until = until});
    const auto ca = *pki_.Issue(
        "old-ca", {.common_name = "CA", .valid_from = -kDay, .valid_until = 1000 * kDay});
    return Credentials({{"--client-cert", pair.certificate},
                        {"--client-key", pair.key},
                        {"--ca", ca.certificate}});
  }

  test::TempDir directory_;
  test::TestPki pki_;
  std::vector<std::string> lines_;
  const Logger log_{false, [this](const Event& event) {
                      const std::string name = event.severity == Severity::kError     ? "error: "
                                               : event.severity == Severity::kWarning ? "warning: "
                                                                                      : "notice: ";
                      lines_.push_back(name + event.text);
                    }};
};

TEST_F(CredentialsTest, NothingIsSaidWhileAllIsWell) {
  Credentials credentials = Valid(-kHour, kHour);
  credentials.Tick(log_);
  EXPECT_THAT(lines_, IsEmpty());
  EXPECT_EQ(credentials.Trouble(), "");
  EXPECT_THAT(credentials.Summary(), MatchesRegex("--client-cert until 20[0-9-]+"));
}

TEST_F(CredentialsTest, TheEndIsSaidWhenItComesAndThenEachDay) {
  Credentials credentials = Valid(-kHour, kHour);
  const std::time_t now = std::time(nullptr);
  credentials.Tick(log_, now);
  const auto said = AllOf(HasSubstr("error: --client-cert /"), HasSubstr(".pem: expired on 20"),
                          HasSubstr("; renew it, or correct"));
  for (int hour = 2; hour < 24; ++hour) credentials.Tick(log_, now + hour * kHour);
  EXPECT_THAT(lines_, ElementsAre(said));
  for (int hour = 24; hour < 72; ++hour) credentials.Tick(log_, now + hour * kHour);
  EXPECT_THAT(lines_, ElementsAre(said, said, said));
  EXPECT_THAT(credentials.Trouble(now + 2 * kHour), HasSubstr("expired on"));
}

TEST_F(CredentialsTest, EachRemarkBeforeTheEndIsAWarningOnce) {
  Credentials credentials = Valid(-80 * kDay, 40 * kDay);
  const std::time_t now = std::time(nullptr);
  for (std::time_t hour = 0; hour < 40 * 24; ++hour) credentials.Tick(log_, now + hour * kHour);
  const auto said = [](const std::string& left) {
    return AllOf(HasSubstr("warning: --client-cert /"), HasSubstr(".pem: expires on 20"),
                 HasSubstr("; " + left + " left: renew it"));
  };
  EXPECT_THAT(lines_, ElementsAre(said("30 days"), said("14 days"), said("7 days"), said("3 days"),
                                  said("24 hours")));
  EXPECT_EQ(credentials.Trouble(now + 39 * kDay), "");
  EXPECT_THAT(credentials.Summary(now + 37 * kDay),
              MatchesRegex("--client-cert until 20[0-9-]+, 3 days left"));
}

TEST_F(CredentialsTest, AStartShortlyBeforeTheEndSaysTheLastOnly) {
  Credentials credentials = Valid(-363 * kDay, 2 * kDay);
  credentials.Tick(log_);
  credentials.Tick(log_);
  EXPECT_THAT(lines_, ElementsAre(HasSubstr("; 48 hours left")));
}

TEST_F(CredentialsTest, WhatIsTrueByAnotherClockIsSaid) {
  Credentials credentials = Valid(-365 * kDay, 60 * kDay);
  const std::time_t now = std::time(nullptr);
  for (const std::time_t day : {58, 50, 58, 0, 50}) credentials.Tick(log_, now + day * kDay);
  EXPECT_THAT(lines_, ElementsAre(HasSubstr("48 hours left"), HasSubstr("10 days left"),
                                  HasSubstr("48 hours left"), HasSubstr("10 days left")));
}

TEST_F(CredentialsTest, TheEndOfEachFileIsSaid) {
  Credentials credentials = Valid(-365 * kDay, kDay);
  const std::time_t now = std::time(nullptr);
  for (const std::time_t day : {0, 2, 2000}) credentials.Tick(log_, now + day * kDay);
  EXPECT_THAT(lines_, ElementsAre(HasSubstr("warning: --client-cert /"),
                                  HasSubstr("error: --client-cert /"),
                                  HasSubstr("error: --client-cert /"), HasSubstr("error: --ca /")));
}

TEST_F(CredentialsTest, AClockThatIsSetEndsIt) {
  Credentials credentials = Valid(kHour, 2 * kHour);
  const std::time_t now = std::time(nullptr);
  credentials.Tick(log_, now);
  credentials.Tick(log_, now + kHour + 60);
  EXPECT_THAT(lines_, ElementsAre(HasSubstr("error: --client-cert /"),
                                  HasSubstr("notice: no longer: --client-cert /")));
}

TEST_F(CredentialsTest, AnExpiredCaIsTroubleToo) {
  Credentials credentials = Valid(-kHour, 3000 * 24 * kHour);
  const std::time_t now = std::time(nullptr);
  EXPECT_THAT(credentials.Trouble(now + 2000 * 24 * kHour), HasSubstr("--ca /"));
}

TEST_F(CredentialsTest, OthersTakeTheirPlaceWhenTheyAreUsed) {
  const std::time_t now = std::time(nullptr);
  Credentials credentials = Valid(-kHour, kHour);
  credentials.Tick(log_, now + 2 * kHour);
  const auto old = credentials.tls();
  ASSERT_THAT(pki_.Issue("client", {.common_name = "c", .valid_until = 9 * kHour}), test::IsOk());
  const auto candidate = credentials.ReadAgain();
  ASSERT_THAT(candidate, test::IsOk());
  EXPECT_EQ(*credentials.tls(), *old);
  EXPECT_NE(credentials.Trouble(now + 2 * kHour), "");
  credentials.Use(*candidate);
  EXPECT_EQ(*credentials.tls(), *candidate);
  EXPECT_EQ(credentials.Trouble(now + 2 * kHour), "");
  credentials.Tick(log_, now + 2 * kHour);
  EXPECT_THAT(lines_, ElementsAre(HasSubstr("error: --client-cert /"),
                                  HasSubstr("notice: no longer: --client-cert /")));
}

TEST_F(CredentialsTest, FilesThatCouldNotBeReadHaveNoTime) {
  Credentials credentials({{"--client-cert", directory_ / "none"}, {}, {}});
  EXPECT_FALSE(credentials.tls().ok());
  credentials.Tick(log_);
  EXPECT_EQ(credentials.Trouble(), "");
  EXPECT_EQ(credentials.Summary(), "");
  EXPECT_THAT(lines_, IsEmpty());
}

}  // namespace
}  // namespace okms
