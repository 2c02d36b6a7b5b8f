// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "doctor/in_use.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "doctor/examination.h"

namespace okms::doctor {
namespace {

using testing::StartsWith;

class InUseTest : public testing::Test {
 protected:
  // With a file of each kind, and what the plugin says of itself.
  static Verdict Said(absl::StatusOr<InUse> answer, const std::string& unit = "okms.service") {
    Request request;
    request.ask_in_use = [&](const Examination&) { return answer; };
    Examination all(request);
    all.found.unit = unit;
    all.found.passed = {"/etc/client.pem"};
    all.files.validity.Add("--client-cert", "/etc/client.pem", {{86400, 864000}});
    all.files.validity.Add("--ca", "/etc/ca.pem", {{0, 864000}});
    const Verdicts verdicts = CheckInUse(all);
    EXPECT_EQ(verdicts.size(), 1U);
    return verdicts.front();
  }
  static InUse Of(double from, double until) {
    return {{{"--client-cert", "/run/credentials/okms.service/client-cert", from, until},
             {"--ca", "/etc/ca.pem", 0, 864000}},
            ""};
  }
};

TEST_F(InUseTest, TheSame) { EXPECT_EQ(Said(Of(86400, 864000)).outcome, Outcome::kPassed); }

TEST_F(InUseTest, AnOlderOne) {
  InUse answer = Of(0, 432000);
  const Verdict verdict = Said(answer);
  EXPECT_EQ(verdict.outcome, Outcome::kWarning);
  EXPECT_EQ(verdict.line,
            "--client-cert /etc/client.pem: is valid from 1970-01-02 00:00:00 UTC until 1970-01-11 "
            "00:00:00 UTC, and the plugin still uses what is valid from 1970-01-01 00:00:00 UTC "
            "until 1970-01-06 00:00:00 UTC");
  EXPECT_EQ(verdict.mend, "systemctl restart okms.service");
  answer.trouble = "the new ones are not used: it does not fit";
  EXPECT_EQ(Said(answer).line, verdict.line + ": the new ones are not used: it does not fit");
  // Both ends count: a new one may end when the old one does.
  EXPECT_EQ(Said(Of(0, 864000)).outcome, Outcome::kWarning);
}

TEST_F(InUseTest, WhatThePluginReadsItselfItTakesByAReload) {
  InUse answer = Of(86400, 864000);
  answer.certificates[1].not_after = 1;
  EXPECT_EQ(Said(answer).mend, "systemctl reload okms.service");
}

TEST_F(InUseTest, AnotherPluginThatAnswers) {
  InUse answer = Of(0, 432000);
  answer.certificates.pop_back();
  const Verdict verdict = Said(answer, "other.service");
  EXPECT_EQ(verdict.outcome, Outcome::kUnknown);
  EXPECT_EQ(verdict.line, "who answers uses other files; is it this plugin?");
}

TEST_F(InUseTest, NobodyWhoSaysIt) {
  const Verdict silent = Said(absl::UnavailableError("no system bus\nno such socket"));
  EXPECT_EQ(silent.outcome, Outcome::kUnknown);
  EXPECT_EQ(silent.line, "the plugin does not say what it uses: no system bus; no such socket");
  EXPECT_EQ(silent.mend, "systemctl status okms.service");
  EXPECT_THAT(Said(absl::PermissionDeniedError("no")).mend, StartsWith("sudo okms-kms-ctl check"));
}

}  // namespace
}  // namespace okms::doctor
