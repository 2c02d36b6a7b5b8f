// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/findings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "audit/report.h"
#include "core/key_id_hash.h"
#include "unit/audit/filled_survey.h"
#include "unit/audit/values.h"

namespace okms::audit {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

Demands NoPlaintext(std::set<std::string> of = {}) {
  Demands demands;
  demands.no_plaintext = true;
  demands.no_plaintext_of = std::move(of);
  return demands;
}

Demands OneKey(std::string key) {
  Demands demands;
  demands.key = std::move(key);
  return demands;
}

class FindingsTest : public FilledSurveyTest {
 protected:
  // "wrong plaintext: 12 secrets are ..."
  std::vector<std::string> Lines(const Demands& demands = {}) {
    survey.calendar.Settle();
    std::vector<std::string> lines;
    for (const Finding& finding : FindingsOf(survey, demands)) {
      lines.push_back(absl::StrCat(finding.wrong ? "wrong " : "", finding.id, ": ", finding.line));
    }
    return lines;
  }
};

TEST_F(FindingsTest, ThereAreNoneOfWhatIsOfNoConcern) {
  Add("pods/a/1", Protobuf(1), 1);
  EXPECT_THAT(Lines(), IsEmpty());
}

TEST_F(FindingsTest, NothingMeetsNoDemand) {
  const std::string line =
      "nothing-read: there is nothing below /registry/: the right file and --prefix?";
  EXPECT_THAT(Lines(), ElementsAre(line));
  EXPECT_THAT(Lines(NoPlaintext()), ElementsAre("wrong " + line));
  EXPECT_THAT(Lines(OneKey("K1")), Contains("wrong " + line));
}

TEST_F(FindingsTest, PlainTextIsWrongWhenItMustNotBe) {
  Add("secrets/a/1", Protobuf(1), 1);
  Add("secrets/a/2", "{}", 2);
  Add("configmaps/a/1", Protobuf(1), 3);
  EXPECT_THAT(Lines(), ElementsAre("plaintext: 2 secrets are in plain text"));
  EXPECT_THAT(Lines(NoPlaintext()), ElementsAre("wrong plaintext: 2 secrets are in plain text"));
  EXPECT_THAT(
      Lines(NoPlaintext({"configmaps", "pods"})),
      ElementsAre("wrong plaintext: 1 of configmaps is in plain text",
                  "wrong not-seen: there are no pods", "plaintext: 2 secrets are in plain text"));
}

TEST_F(FindingsTest, WhatIsEncryptedInPartIsMeantByDefault) {
  Add("things.example/a/1", Protobuf(1), 1);
  Add("configmaps/a/1", KmsV2("k", "s"), 1);
  Add("configmaps/a/2", Protobuf(1), 2);
  Add("configmaps/a/2", Protobuf(1), 1, Standing::kOldRevision);
  EXPECT_THAT(Lines(NoPlaintext()),
              ElementsAre("wrong plaintext: 1 of configmaps is in plain text",
                          "wrong plaintext: 1 old revision of configmaps is in plain text",
                          "cold-start: a kube-apiserver that starts has 1 seed to decrypt"));
}

TEST_F(FindingsTest, ResourcesOfKubernetesHaveNoGroupInEtcd) {
  Add("deployments/a/1", Protobuf(1), 1);
  Add("roles/a/1", Protobuf(1), 2);
  Add("widgets/a/1", Protobuf(1), 3);
  EXPECT_THAT(Lines(NoPlaintext({"deployments.apps"})),
              ElementsAre("wrong plaintext: 1 of deployments is in plain text"));
  EXPECT_THAT(Lines(NoPlaintext({"roles.rbac.authorization.k8s.io"})),
              ElementsAre("wrong plaintext: 1 of roles is in plain text"));
  EXPECT_THAT(Lines(NoPlaintext({"widgets.example.com"})),
              ElementsAre("wrong not-seen: there are no widgets.example.com"));
  Add("example.com/widgets/a/1", KmsV2("k", "s"), 4);
  EXPECT_THAT(Lines(NoPlaintext({"widgets.example.com"})), ElementsAre(HasSubstr("cold-start")));
}

TEST_F(FindingsTest, TwoProvidersMayHaveAKeyOfOneName) {
  Add("secrets/a/1", KmsV2("1", "s1", "a"), 1);
  Add("secrets/a/2", KmsV2("1", "s2", "b"), 2);
  EXPECT_THAT(
      Lines(OneKey("1")),
      ElementsAre("two-providers: key 1 is of two providers, a and b: those may be two keys",
                  HasSubstr("cold-start")));
}

TEST_F(FindingsTest, NoMinuteIsOverBeforeItsEnd) {
  Add("secrets/a/1", KmsV2("K1", "s1"), 1);
  Add("pods/a/1", Protobuf(1'767'236'399), 2);  // 2026-01-01 02:59:59
  EXPECT_THAT(Lines(OneKey("K2")),
              Contains(HasSubstr(" of secrets, written before 2026-01-01 03:00 UTC")));
}

TEST_F(FindingsTest, SaysWhatOldKeysAreNeededBy) {
  Add("pods/a/1", Protobuf(1'767'312'000), 2);  // 2026-01-02 00:00
  Add("secrets/a/1", KmsV2("K1", "s1"), 3);
  Add("secrets/a/2", KmsV2("K1", "s1"), 4);
  Add("pods/a/2", Protobuf(1'767'398'400), 5);
  Add("configmaps/a/1", KmsV2("K1", "s1"), 6);
  Add("secrets/a/3", KmsV2("K2", "s2"), 9);
  Add("secrets/a/3", KmsV2("K0", "s0"), 7, Standing::kFreedPage);
  Demands demands;
  demands.round_trip = absl::Milliseconds(20);
  EXPECT_THAT(
      Lines(demands),
      ElementsAre(
          "other-key: key K0 is still needed by 1 value of secrets on freed pages, written after "
          "2026-01-03 00:00 UTC",
          "other-key: key K1 is still needed by 1 of configmaps, 2 secrets, written between "
          "2026-01-02 00:00 and 2026-01-03 00:00 UTC",
          "cold-start: a kube-apiserver that starts has 2 seeds to decrypt: about 100ms, one after "
          "the other, at 20ms"));
}

TEST_F(FindingsTest, OneKeyForAllThatIsEncrypted) {
  Add("secrets/a/1", KmsV2("K1", "s1"), 1);
  Add("configmaps/a/1", Protobuf(1), 1);
  EXPECT_THAT(Lines(OneKey("K1")), Not(Contains(HasSubstr("wrong"))));
  EXPECT_THAT(Lines(OneKey(KeyIdHash("K1"))), Not(Contains(HasSubstr("wrong"))));
  EXPECT_THAT(
      Lines(OneKey("K2")),
      ElementsAre("wrong other-key: key K1 is still needed by 1 of secrets",
                  "wrong key-unused: nothing is encrypted under key K2", HasSubstr("cold-start")));
  Add("secrets/a/2", "k8s:enc:aescbc:v1:key1:" + std::string(32, 'd'), 2);
  Add("secrets/a/3", "k8s:enc:future:v1:key1:", 3);
  EXPECT_THAT(Lines(OneKey("K1")),
              ElementsAre(HasSubstr("wrong unknown-provider: 1 of secrets encrypted"),
                          "wrong other-provider: aescbc key1 is still needed by 1 of secrets",
                          HasSubstr("cold-start")));
}

TEST_F(FindingsTest, ADemandIsNotMetByNothing) {
  Add("secrets/a/1", Protobuf(1), 1);
  EXPECT_THAT(Lines(OneKey("K1")), Contains(HasSubstr("wrong key-unused")));
  Add("secrets/a/2", KmsV2("K1", "s1"), 2, Standing::kOldRevision);
  Add("secrets/a/2", KmsV2("K1", "s1"), 3, Standing::kFreedPage);
  EXPECT_THAT(Lines(OneKey("K1")), Contains(HasSubstr("wrong key-unused")));
}

TEST_F(FindingsTest, WhatNobodyCanReadIsWrongInAnyCase) {
  Add("secrets/a/1", "k8s:enc:kms:v2:okms:", 1);
  Add("secrets/a/2", "password", 2);
  Add("pods/a/1", "elsewhere", 3);
  EXPECT_THAT(Lines(), ElementsAre(HasSubstr("wrong unknown: 1 of secrets"),
                                   HasSubstr("wrong malformed: 1 of secrets"),
                                   HasSubstr("unknown: 1 of pods")));
}

TEST_F(FindingsTest, NoReportHasMoreThanTheEnvelope) {
  Add("secrets/a/1", Protobuf(1) + "CANARY", 1);
  Add("secrets/a/2", "{\"data\":\"CANARY\"}", 1);
  Add("secrets/a/3", "hunter2CANARY", 1);
  Add("secrets/a/4", "k8s:enc:kms:v2:okms:CANARY", 1);
  Add("secrets/a/5", "k8s:enc:newer:v1:a:CANARY", 1);
  Add("secrets/a/6", KmsV2("k", "CANARY"), 1);
  const std::vector<Finding> findings = FindingsOf(survey, {});
  for (const std::string& report :
       {AsText(survey, findings, true), AsJson(survey, findings).dump()}) {
    EXPECT_THAT(report, Not(HasSubstr("CANARY")));
    EXPECT_THAT(report, HasSubstr("/registry/secrets/a/3"));
    EXPECT_THAT(report, HasSubstr("k8s:enc:newer:v1:a:"));
  }
}

TEST_F(FindingsTest, TheTableHasWhatConcerns) {
  survey.extent.line = "etcd at x";
  survey.extent.revision = 17;
  Add("secrets/a/1", KmsV2("K1", "s1"), 1);
  Add("pods/a/1", Protobuf(1), 2);
  Add("pods/a/2", Protobuf(1), 3);
  EXPECT_EQ(AsText(survey, {{"x", true, "bad", {"/registry/secrets/a/1"}}}, false),
            "etcd at x: revision 17, 3 values below /registry/\n"
            "\n"
            "RESOURCE  PROVIDER     KEY                 OBJECTS  SEEDS  OLDEST\n"
            "secrets   kms v2 okms  K1 sha256:badb7283        1      1       1\n"
            "and 2 in plain text, of 1 resource that nothing is encrypted of (--verbose)\n"
            "\n"
            "wrong   bad\n");
  const std::string verbose = AsText(survey, {{"x", false, "so", {"/registry/secrets/a/1"}}}, true);
  EXPECT_THAT(verbose, HasSubstr("\npods      plain protobuf  -"));
  EXPECT_THAT(verbose, HasSubstr("\nnote    so\n        /registry/secrets/a/1\n"));
}

}  // namespace
}  // namespace okms::audit
