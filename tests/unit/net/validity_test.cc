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
    EXPECT_EQ(validity.At(now), std::nullopt) << now;
  }
  EXPECT_EQ(validity.End(), kNow + kDay);
  ASSERT_EQ(validity.Ends().size(), 1);
  EXPECT_EQ(validity.Ends()[0].until, kNow + kDay);
}

TEST(ValidityTest, AnExpiredFileSaysSinceWhenAndWhatToDo) {
  const auto trouble = With({{kNow - kDay, kNow - 1}}).At(kNow);
  ASSERT_TRUE(trouble);
  EXPECT_EQ(trouble->what, "--client-cert /c.pem: expired on 2026-11-18 11:06:39 UTC");
  EXPECT_EQ(trouble->Text(),
            "--client-cert /c.pem: expired on 2026-11-18 11:06:39 UTC; renew it and restart, or "
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
  EXPECT_EQ(validity.At(kNow), std::nullopt);
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
  EXPECT_EQ(validity.Summary(kNow + kDay + 1), "--ca expired on 2026-11-19");
  EXPECT_EQ(validity.At(kNow + kDay + 1)->what, "--ca /ca.pem: expired on 2026-11-19 11:06:40 UTC");
}

TEST(ValidityTest, NoFilesAreNoTrouble) {
  Validity validity;
  validity.Add("--ca", "/ca.pem", {});
  EXPECT_EQ(validity.At(kNow), std::nullopt);
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
