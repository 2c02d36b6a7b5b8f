// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/validity.h"
#include "net/pem_certificates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>

#include <fstream>
#include <sstream>

#include "support/status_is.h"
#include "support/temp_dir.h"
#include "support/test_pki.h"

namespace okms {
namespace {

constexpr std::time_t kDay = 24L * 3600;
constexpr std::time_t kNow = 1'795'000'000;  // 2026-11-18 11:06:40 UTC

Validity With(std::vector<Validity::Period> certificates) {
  Validity validity;
  validity.Add("--client-cert", "/c.pem", std::move(certificates));
  return validity;
}

TEST(ValidityTest, NothingIsWrongInTime) {
  const Validity validity = With({{kNow - kDay, kNow + kDay}});
  for (const std::time_t now : {kNow - kDay, kNow, kNow + kDay}) {
    EXPECT_FALSE(validity.At(now)) << now;
  }
  EXPECT_EQ(validity.End(), kNow + kDay);
  ASSERT_EQ(validity.Ends().size(), 1);
  EXPECT_EQ(validity.Ends()[0].from, kNow - kDay);
  EXPECT_EQ(validity.Ends()[0].until, kNow + kDay);
}

TEST(ValidityTest, AnExpiredFileSaysSinceWhenAndWhatToDo) {
  const auto trouble = With({{kNow - kDay, kNow - 1}}).At(kNow);
  ASSERT_TRUE(trouble);
  EXPECT_EQ(trouble->what, "--client-cert /c.pem: expired on 2026-11-18 11:06:39 UTC");
  EXPECT_EQ(trouble->Text(),
            "--client-cert /c.pem: expired on 2026-11-18 11:06:39 UTC; renew it, or "
            "correct this machine's clock, which says 2026-11-18");
}

TEST(ValidityTest, AFileOfTomorrowSaysFromWhen) {
  const auto trouble = With({{kNow + 1, kNow + kDay}}).At(kNow);
  ASSERT_TRUE(trouble);
  EXPECT_EQ(trouble->Text(),
            "--client-cert /c.pem: not valid before 2026-11-18 11:06:41 UTC; correct this "
            "machine's clock, which says 2026-11-18, or wait");
}

TEST(ValidityTest, OneGoodCertificateOfAFileIsEnough) {
  const Validity validity = With({{kNow - 2 * kDay, kNow - kDay}, {kNow - kDay, kNow + kDay}});
  EXPECT_FALSE(validity.At(kNow));
  const auto trouble = validity.At(kNow + 2 * kDay);
  ASSERT_TRUE(trouble);
  EXPECT_EQ(trouble->what, "--client-cert /c.pem: expired on 2026-11-19 11:06:40 UTC");
}

TEST(ValidityTest, BetweenTwoCertificatesTheNextOneIsWaitedFor) {
  const auto trouble = With({{kNow - 2 * kDay, kNow - kDay},
                             {kNow + 2 * kDay, kNow + 3 * kDay},
                             {kNow + kDay, kNow + 3 * kDay}})
                           .At(kNow);
  ASSERT_TRUE(trouble);
  EXPECT_EQ(trouble->what, "--client-cert /c.pem: not valid before 2026-11-19 11:06:40 UTC");
}

TEST(ValidityTest, TheSummaryIsOfTheFileThatEndsFirst) {
  Validity validity = With({{kNow - kDay, kNow + 2 * kDay}});
  validity.Add("--ca", "/ca.pem", {{kNow - kDay, kNow + kDay}});
  EXPECT_EQ(validity.Summary(kNow), "--ca until 2026-11-19");
  EXPECT_EQ(validity.Summary(kNow + kDay + 1),
            "--client-cert until 2026-11-20, 24 hours left; --ca expired on 2026-11-19");
  EXPECT_EQ(validity.At(kNow + kDay + 1)->what, "--ca /ca.pem: expired on 2026-11-19 11:06:40 UTC");
}

// ---- Before the end

constexpr std::time_t kHour = 3600;
constexpr std::time_t kYear = 365 * kDay;

// How long before its end at kNow a certificate of that life is spoken of then, if it is.
std::optional<std::time_t> MarkOf(std::time_t life, std::time_t left) {
  const auto remarks = With({{kNow - life, kNow}}).Remarks(kNow - left);
  if (remarks.empty()) return std::nullopt;
  EXPECT_EQ(remarks.size(), 1U);
  EXPECT_FALSE(remarks.front().wrong);
  return kNow - remarks.front().since;
}

TEST(ValidityTest, TheEndIsSpokenOfSomeDaysBefore) {
  for (const std::time_t life : {90 * kDay, kYear, 20 * kYear}) {
    EXPECT_EQ(MarkOf(life, life), std::nullopt);
    EXPECT_EQ(MarkOf(life, 30 * kDay + 1), std::nullopt);
    std::optional<std::time_t> left = 30;
    for (const std::time_t next : {14, 7, 3, 1}) {
      EXPECT_EQ(MarkOf(life, *left * kDay), *left * kDay);
      EXPECT_EQ(MarkOf(life, next * kDay + 1), *left * kDay);
      left = next;
    }
    EXPECT_EQ(MarkOf(life, kDay), kDay);
    EXPECT_EQ(MarkOf(life, 0), kDay);
  }
}

TEST(ValidityTest, OfAShortLifeThePartThatIsLeftCounts) {
  EXPECT_EQ(MarkOf(24 * kHour, 24 * kHour), std::nullopt);
  EXPECT_EQ(MarkOf(24 * kHour, 8 * kHour + 1), std::nullopt);
  EXPECT_EQ(MarkOf(24 * kHour, 8 * kHour), 8 * kHour);
  EXPECT_EQ(MarkOf(24 * kHour, 8640 + 1), 8 * kHour);
  EXPECT_EQ(MarkOf(24 * kHour, 8640), 8640);
  EXPECT_EQ(MarkOf(24 * kHour, 0), 8640);
  EXPECT_EQ(MarkOf(30 * kDay, 30 * kDay), std::nullopt);
  EXPECT_EQ(MarkOf(30 * kDay, 3 * kDay), 3 * kDay);
  // Where the two ways meet, the first remark comes at the same time.
  EXPECT_EQ(MarkOf(90 * kDay - 3, 30 * kDay), std::nullopt);
  EXPECT_EQ(MarkOf(90 * kDay - 3, 30 * kDay - 1), 30 * kDay - 1);
  EXPECT_EQ(MarkOf(90 * kDay - 3, 1), 9 * kDay - 1);
}

TEST(ValidityTest, ARemarkSaysFileDateTimeLeftAndRemedy) {
  const Validity validity = With({{kNow - kYear, kNow}});
  const auto text = [&](std::time_t left) {
    const auto remarks = validity.Remarks(kNow - left);
    return remarks.empty() ? "" : remarks.front().Text();
  };
  const auto with = [](const std::string& left) {
    return "--client-cert /c.pem: expires on 2026-11-18 11:06:40 UTC; " + left + " left: renew it";
  };
  EXPECT_EQ(text(30 * kDay), with("30 days"));
  EXPECT_EQ(text(3 * kDay - 9), with("3 days"));  // looked at some seconds late
  EXPECT_EQ(text(60 * kHour), with("3 days"));
  EXPECT_EQ(text(60 * kHour - 1), with("60 hours"));
  EXPECT_EQ(text(kDay), with("24 hours"));
  EXPECT_EQ(text(8640), with("144 minutes"));
  EXPECT_EQ(text(60), with("1 minute"));
  EXPECT_EQ(text(0), with("0 minutes"));
  EXPECT_EQ(text(-1),
            "--client-cert /c.pem: expired on 2026-11-18 11:06:40 UTC; renew it, or "
            "correct this machine's clock, which says 2026-11-18");
}

TEST(ValidityTest, WhatHasExpiredIsAnotherRemarkEachDay) {
  const Validity validity = With({{kNow - kYear, kNow}});
  const auto since = [&](std::time_t now) { return validity.At(now)->since; };
  EXPECT_EQ(since(kNow + 1), kNow);
  EXPECT_EQ(since(kNow + kDay - 1), kNow);
  EXPECT_EQ(since(kNow + kDay), kNow + kDay);
  EXPECT_EQ(since(kNow + kYear + 5), kNow + kYear);
}

TEST(ValidityTest, WhatIsNotValidYetIsOneRemark) {
  const Validity validity = With({{kNow, kNow + kYear}});
  for (const std::time_t now : {kNow - kYear, kNow - 1}) {
    const auto remarks = validity.Remarks(now);
    ASSERT_EQ(remarks.size(), 1U);
    EXPECT_TRUE(remarks.front().wrong);
    EXPECT_EQ(remarks.front().since, kNow);
  }
}

TEST(ValidityTest, ABundleEndsWithTheLastOfItsCas) {
  const Validity validity =
      With({{kNow - kYear, kNow + kDay}, {kNow - kYear, kNow + 40 * kDay}, {kNow - kDay, kNow}});
  EXPECT_TRUE(validity.Remarks(kNow).empty());
  EXPECT_TRUE(validity.Remarks(kNow + 2 * kDay).empty());
  const auto remarks = validity.Remarks(kNow + 10 * kDay);
  ASSERT_EQ(remarks.size(), 1U);
  EXPECT_EQ(remarks.front().Text(),
            "--client-cert /c.pem: expires on 2026-12-28 11:06:40 UTC; 30 days left: renew it");
  EXPECT_EQ(remarks.front().since, kNow + 10 * kDay);
}

TEST(ValidityTest, EachFileHasItsRemark) {
  Validity validity = With({{kNow - kYear, kNow - 1}});
  validity.Add("--ca", "/ca.pem", {{kNow - kYear, kNow + kDay}});
  const auto remarks = validity.Remarks(kNow);
  ASSERT_EQ(remarks.size(), 2U);
  EXPECT_TRUE(remarks[0].wrong);
  EXPECT_FALSE(remarks[1].wrong);
  EXPECT_EQ(remarks[1].what, "--ca /ca.pem: expires on 2026-11-19 11:06:40 UTC");
  EXPECT_EQ(validity.At(kNow)->what, remarks[0].what);
  EXPECT_EQ(validity.Summary(kNow),
            "--client-cert expired on 2026-11-18; --ca until 2026-11-19, 24 hours left");
}

TEST(ValidityTest, TheSummarySaysWhatIsLeft) {
  const Validity validity = With({{kNow - kYear, kNow + 30 * kDay}});
  EXPECT_EQ(validity.Summary(kNow - 1), "--client-cert until 2026-12-18");
  EXPECT_EQ(validity.Summary(kNow), "--client-cert until 2026-12-18, 30 days left");
  EXPECT_EQ(validity.Summary(kNow + 30 * kDay), "--client-cert until 2026-12-18, 0 minutes left");
  EXPECT_EQ(validity.Summary(kNow + 30 * kDay + 1), "--client-cert expired on 2026-12-18");
}

TEST(ValidityTest, NoFilesAreNoTrouble) {
  Validity validity;
  validity.Add("--ca", "/ca.pem", {});
  EXPECT_FALSE(validity.At(kNow));
  EXPECT_TRUE(validity.Remarks(kNow).empty());
  EXPECT_EQ(validity.Summary(kNow), "");
  EXPECT_EQ(validity.End(), std::nullopt);
}

TEST(ValidityTest, IsOfEachCertificate) {
  const test::TempDir directory;
  auto pki = *test::TestPki::Create(directory.path());
  const auto pair = *pki.Issue("one", {.common_name = "one", .valid_until = 5000});
  std::stringstream both;
  both << std::ifstream(pair.certificate).rdbuf() << std::ifstream(pki.ca()).rdbuf();
  const std::time_t now = std::time(nullptr);
  const auto periods = PeriodsOf(*ReadCertificates(both.str()));
  ASSERT_EQ(periods.size(), 2U);
  EXPECT_NEAR(static_cast<double>(periods[0].from), static_cast<double>(now - 3600), 60);
  EXPECT_NEAR(static_cast<double>(periods[0].until), static_cast<double>(now + 5000), 60);
  EXPECT_GT(periods[1].until, periods[0].until);
  EXPECT_EQ(ERR_peek_error(), 0U);
  EXPECT_TRUE(PeriodsOf({}).empty());
}

}  // namespace
}  // namespace okms
