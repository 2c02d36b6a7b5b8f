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

class CredentialsTest : public ::testing::Test {
 protected:
  CredentialsTest() : pki_(*test::TestPki::Create(directory_.path())) {}

  Credentials Valid(long from, long until) {
    const auto pair =
        *pki_.Issue("client", {.common_name = "c", .valid_from = from, .valid_until = until});
    return Credentials(TlsContext::Create(
        {{"--client-cert", pair.certificate}, {"--client-key", pair.key}, {"--ca", pki_.ca()}}));
  }

  test::TempDir directory_;
  test::TestPki pki_;
  std::vector<std::string> lines_;
  const Logger log_{false, [this](Severity severity, absl::string_view line) {
                      lines_.push_back((severity == Severity::kError ? "error: " : "notice: ") +
                                       std::string(line));
                    }};
};

TEST_F(CredentialsTest, NothingIsSaidWhileAllIsWell) {
  Credentials credentials = Valid(-kHour, kHour);
  credentials.Tick(log_);
  EXPECT_THAT(lines_, IsEmpty());
  EXPECT_EQ(credentials.Trouble(), "");
  EXPECT_THAT(credentials.Summary(), MatchesRegex("--client-cert until 20[0-9-]+"));
}

TEST_F(CredentialsTest, TheEndIsSaidOnceWhenItComes) {
  Credentials credentials = Valid(-kHour, kHour);
  const std::time_t now = std::time(nullptr);
  credentials.Tick(log_, now);
  for (int day = 1; day < 4; ++day) credentials.Tick(log_, now + day * 24 * kHour);
  EXPECT_THAT(lines_, ElementsAre(AllOf(HasSubstr("error: --client-cert /"),
                                        HasSubstr(".pem: expired on 20"),
                                        HasSubstr("; renew it and restart, or correct"))));
  EXPECT_THAT(credentials.Trouble(now + 2 * kHour), HasSubstr("expired on"));
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

TEST_F(CredentialsTest, FilesThatCouldNotBeReadHaveNoTime) {
  Credentials credentials(absl::FailedPreconditionError("no file"));
  credentials.Tick(log_);
  EXPECT_EQ(credentials.Trouble(), "");
  EXPECT_EQ(credentials.Summary(), "");
  EXPECT_THAT(lines_, IsEmpty());
}

}  // namespace
}  // namespace okms
