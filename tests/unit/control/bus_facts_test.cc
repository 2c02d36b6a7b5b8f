// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "control/bus_facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace okms {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

ReportedHost Host(const std::string& name, bool up, const std::string& trouble) {
  ReportedHost host;
  host.name = name;
  host.up = up;
  host.trouble = trouble;
  host.requests = {{"succeeded", 1}, {"refused", 10}, {"failed", 100}};
  return host;
}

TEST(FactsOf, AreThoseOfTheReport) {
  Report report;
  report.version = "1.2.3";
  report.protocol = "kmip";
  report.sandbox = "Landlock ABI 7";
  report.reason = "the KMS says\nno";
  report.key.id_hash = "sha256:0011";
  report.hosts = {Host("a:5696", true, ""), Host("b:5696", false, "silent")};
  report.certificates = {{"--client-cert", "/path", 0, 2'000'060.5}};
  report.methods = {{"Encrypt", {{"OK", 3}, {"UNAVAILABLE", 4}}, {}}, {"Decrypt", {{"OK", 5}}, {}}};
  report.adoptions = 6;

  const BusFacts facts = FactsOf(report);
  EXPECT_EQ(facts.version, "1.2.3");
  EXPECT_EQ(facts.protocol, "kmip");
  EXPECT_EQ(facts.sandbox, "Landlock ABI 7");
  EXPECT_FALSE(facts.ready);
  EXPECT_EQ(facts.reason, "the KMS says?no");
  EXPECT_EQ(facts.key_id_hash, "sha256:0011");
  EXPECT_THAT(facts.endpoints, ElementsAre(BusFacts::Endpoint{"a:5696", true, ""},
                                           BusFacts::Endpoint{"b:5696", false, "silent"}));
  EXPECT_THAT(facts.certificate_not_after, ElementsAre(Pair("--client-cert", 2'000'060)));
  EXPECT_EQ(facts.requests, 12);
  EXPECT_EQ(facts.failures, 4);
  EXPECT_EQ(facts.kms_requests, 222);
  EXPECT_EQ(facts.kms_failures, 220);
  EXPECT_EQ(facts.adoptions, 6);
  report.ready = true;
  EXPECT_TRUE(FactsOf(report).ready);
}

TEST(LastErrors, HoldEachOnceWithItsTime) {
  LastErrors errors;
  Report report;
  report.now = 1'795'853'402;
  report.checks = {{"bad", 0}, {"good", 0}};
  report.reason = "no key has been looked at yet";  // which is no error
  errors.Saw(report);
  EXPECT_THAT(errors.Lines(), IsEmpty());
  report.checks["bad"] = 1;
  report.reason = "silent";
  report.hosts = {Host("a:5696", false, "silent"), Host("b:5696", false, "refused\tit")};
  errors.Saw(report);
  report.now += 60;
  errors.Saw(report);  // nothing new
  EXPECT_THAT(errors.Lines(),
              ElementsAre("2026-11-28T08:10:02Z refused?it", "2026-11-28T08:10:02Z silent"));
  report.reason = "";
  report.hosts = {};
  report.reload = ReportedReload{"half a file", 0, 1};
  errors.Saw(report);
  report.reload = ReportedReload{"", 1, 1};
  report.reason = "silent";
  report.now += 60;
  errors.Saw(report);
  EXPECT_THAT(errors.Lines(),
              ElementsAre("2026-11-28T08:12:02Z silent", "2026-11-28T08:11:02Z half a file",
                          "2026-11-28T08:10:02Z refused?it", "2026-11-28T08:10:02Z silent"));
}

TEST(LastErrors, AreFew) {
  LastErrors errors;
  Report report;
  report.checks = {{"good", 1}};
  for (int i = 0; i < 100; ++i) {
    report.reason = absl::StrCat("reason ", i);
    errors.Saw(report);
  }
  EXPECT_THAT(errors.Lines(), SizeIs(LastErrors::kMost));
  EXPECT_EQ(errors.Lines().front(), "1970-01-01T00:00:00Z reason 99");
}

}  // namespace
}  // namespace okms
