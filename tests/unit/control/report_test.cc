// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// One report, seen by both views. Every number and every text of it is unlike all others, so that
// each can be looked for.

#include "control/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "control/metrics_text.h"
#include "control/report_json.h"
#include "support/require.h"
#include "support/temp_dir.h"

namespace okms {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Json = nlohmann::json;

constexpr char kHash[] = "sha256:0011";

ReportedHost FilledHost() {
  ReportedHost host;
  host.name = "kms-a:5696";
  host.up = true;
  host.trouble = "text of the host";
  host.age = 1001;
  host.steps = {{"resolve", {{0.5, 1}, {1, 2, 3}, 1002}, 1003},
                {"request", {{0.5, 1}, {4, 5, 6}, 1004}, 1005}};
  host.dials = 1006;
  host.connections = 1007;
  host.requests = {{"succeeded", 1008}, {"refused", 1009}, {"failed", 1010}};
  host.retries = 1011;
  host.turned_away = 1012;
  host.waiting = {{"check", 1013}};
  host.batch = {{1, 2}, {7, 8, 9}, 1014};
  return host;
}

Report Filled() {
  Report report;
  report.version = "1.2.3";
  report.protocol = "kmip";
  report.now = 2'000'000;
  report.started = 1'900'001;
  report.cpu_seconds = 1015;
  report.ready = false;
  report.reason = "text of the reason";
  report.state = "text of the state";
  report.changes = {{"host-out", "text of the change", 7}};
  report.code = "UNAVAILABLE";
  report.key = {"id of the key", kHash, true};
  report.candidate = ReportedCandidate{"sha256:2233", true, "text of the candidate", 1016};
  report.checks = {{"good", 1017}, {"bad", 1018}};
  report.last_good_check_age = 1019;
  report.last_answer_age = 1020;
  report.candidates = 1021;
  report.adoptions = 1022;
  report.shared_decrypts = 1023;
  report.other_decrypts = {{"sha256:4455", 1024}, {"other", 1025}};
  report.hosts = {FilledHost()};
  report.certificates = {{"--client-cert", "/path/of/it", 1'800'060, 2'000'060}};
  report.reload = ReportedReload{"text of the reload", 1026, 1027};
  report.methods = {{"Decrypt", {{"OK", 1028}}, {{0.5, 1}, {10, 11, 12}, 1029}}};
  report.calls_under_way = 1030;
  report.calls_of_no_method = 1031;
  report.connections = 1032;
  report.connections_served = 1033;
  report.connections_refused = {{"stranger", 1034}, {"too_many", 1035}};
  report.log_lines_left_out = {{"queue_full", 1036}};
  report.landlock_abi = 1037;
  report.sandbox = "text of the sandbox";
  return report;
}

std::vector<std::string> Lines(const std::string& text) { return absl::StrSplit(text, '\n'); }

// Whoever adds a field is to add it to Filled and to the views: these fail to compile then.
TEST(ReportTest, NoFieldIsForgottenHere) {
  const Report report = Filled();
  [[maybe_unused]] const auto& [version, protocol, now, started, cpu, ready, reason, code, state,
                                changes, key, candidate, checks, good_age, answer_age, candidates,
                                adoptions, shared, others, hosts, certificates, reload, methods,
                                under_way, no_method, connections, served, refused, left_out, abi,
                                sandbox] = report;
  [[maybe_unused]] const auto& [id, id_hash, unproven] = key;
  [[maybe_unused]] const auto& [candidate_hash, works, candidate_text, candidate_age] = *candidate;
  [[maybe_unused]] const auto& [name, up, trouble, age, steps, dials, open, requests, retries,
                                turned_away, waiting, batch] = hosts[0];
  [[maybe_unused]] const auto& [step, seconds, failures] = steps[0];
  [[maybe_unused]] const auto& [file, path, not_before, not_after] = certificates[0];
  [[maybe_unused]] const auto& [reload_trouble, succeeded, failed] = *reload;
  [[maybe_unused]] const auto& [method, by_code, method_seconds] = methods[0];
  EXPECT_EQ(abi, 1037);
}

TEST(ReportTest, EachNumberIsInBothViews) {
  const std::string text = MetricsText(Filled());
  const std::string json = ReportJson(Filled());
  for (int number = 1001; number <= 1037; ++number) {
    EXPECT_THAT(text, ::testing::ContainsRegex(absl::StrCat(" ", number, "\n")));
    EXPECT_THAT(json, ::testing::ContainsRegex(absl::StrCat("[:]", number, "(\\.0)?[,}]")));
  }
}

TEST(ReportTest, EachStateIsInBothViews) {
  const std::vector<std::string> lines = Lines(MetricsText(Filled()));
  const Json json = Json::parse(ReportJson(Filled()));
  const auto expect = [&](const char* line, const char* pointer, const Json& value) {
    EXPECT_THAT(lines, Contains(line));
    EXPECT_EQ(json.at(Json::json_pointer(pointer)), value) << pointer;
  };
  expect(R"(okms_kms_build_info{version="1.2.3",protocol="kmip"} 1)", "/version", "1.2.3");
  EXPECT_EQ(json["protocol"], "kmip");
  expect("process_start_time_seconds 1900001", "/started", 1'900'001);
  expect("okms_kms_ready 0", "/ready", false);
  expect(R"(okms_kms_status_info{code="UNAVAILABLE"} 1)", "/code", "UNAVAILABLE");
  expect(R"(okms_kms_key_info{key_id_hash="sha256:0011",label_proven="false"} 1)", "/key/id_hash",
         kHash);
  EXPECT_EQ(json["key"]["label_proven"], false);
  expect(R"(okms_kms_key_candidate_age_seconds{key_id_hash="sha256:2233",works="true"} 1016)",
         "/candidate/id_hash", "sha256:2233");
  EXPECT_EQ(json["candidate"]["works"], true);
  expect(R"(okms_kms_endpoint_up{host="kms-a:5696"} 1)", "/hosts/0/up", true);
  EXPECT_EQ(json["hosts"][0]["name"], "kms-a:5696");
  expect(R"(okms_kms_certificate_not_after_timestamp_seconds{file="--client-cert"} 2000060)",
         "/certificates/0/not_after", 2'000'060);
  expect(R"(okms_kms_certificate_not_before_timestamp_seconds{file="--client-cert"} 1800060)",
         "/certificates/0/not_before", 1'800'060);
  EXPECT_EQ(json["certificates"][0]["file"], "--client-cert");
  EXPECT_EQ(json["certificates"][0]["left_seconds"], 60);
  expect("okms_kms_files_in_use 0", "/reload/trouble", "text of the reload");
  EXPECT_EQ(json["now"], 2'000'000);
}

TEST(ReportTest, ATextIsForPeopleAndNoLabel) {
  const std::string text = MetricsText(Filled());
  const std::string json = ReportJson(Filled());
  for (const char* words : {"text of the host", "text of the reason", "text of the candidate",
                            "text of the reload", "text of the sandbox", "text of the state",
                            "text of the change", "id of the key", "/path/of/it"}) {
    EXPECT_THAT(text, Not(HasSubstr(words)));
    EXPECT_THAT(json, HasSubstr(words));
  }
}

TEST(ReportTest, BucketsAreCumulative) {
  const std::vector<std::string> lines = Lines(MetricsText(Filled()));
  const std::string name = "okms_kms_request_duration_seconds";
  EXPECT_THAT(lines, Contains(name + R"(_bucket{method="Decrypt",le="0.5"} 10)"));
  EXPECT_THAT(lines, Contains(name + R"(_bucket{method="Decrypt",le="1"} 21)"));
  EXPECT_THAT(lines, Contains(name + R"(_bucket{method="Decrypt",le="+Inf"} 33)"));
  EXPECT_THAT(lines, Contains(name + R"(_count{method="Decrypt"} 33)"));
  const Json json = Json::parse(ReportJson(Filled()));
  EXPECT_EQ(json["methods"]["Decrypt"]["seconds"],
            Json::parse(R"({"count": 33, "sum": 1029, "up_to": {"0.5": 10, "1.0": 21}})"));
}

TEST(ReportTest, WhatIsNotThereIsMissing) {
  const std::string text = MetricsText(Report());
  for (const char* name : {"okms_kms_key_info{", "okms_kms_key_candidate_age_seconds{",
                           "okms_kms_last_good_check_age_seconds ", "okms_kms_reloads_total"}) {
    EXPECT_THAT(text, Not(HasSubstr(absl::StrCat("\n", name))));
  }
  const Json json = Json::parse(ReportJson(Report()));
  for (const char* name : {"candidate", "reload", "last_good_check_age_seconds"}) {
    EXPECT_TRUE(json.at(name).is_null()) << name;
  }
}

// What a peer chose, or an administrator.
Report Hostile() {
  Report report = Filled();
  const std::string bad = "a\"b\\c\nd\xff" + std::string(5000, 'x');
  report.reason = report.key.id = bad;
  report.hosts[0].name = report.hosts[0].trouble = bad;
  report.certificates[0].path = bad;
  return report;
}

TEST(ReportTest, HostileTextsAreHarmless) {
  const std::string text = MetricsText(Hostile());
  EXPECT_THAT(text, HasSubstr("okms_kms_endpoint_up{host=\"a\\\"b\\\\c?d?x"));
  EXPECT_LT(text.size(), 50'000);
  EXPECT_THAT(Json::parse(ReportJson(Hostile()))["reason"], HasSubstr("a\"b\\c?d?x"));
  EXPECT_LT(ReportJson(Hostile()).size(), 10'000);
}

// All that promtool has to say of it; empty when it is content.
std::string Promtool(const std::string& text) {
  const test::TempDir directory;
  const std::string path = directory / "metrics";
  std::ofstream(path) << text;
  FILE* const pipe = ::popen(("promtool check metrics < " + path + " 2>&1").c_str(), "r");
  std::string said;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) said += static_cast<char>(c);
  const int result = ::pclose(pipe);
  return result == 0 ? said : absl::StrCat("exit status ", result, ": ", said);
}

TEST(ReportTest, PromtoolIsContent) {
  OKMS_REQUIRE_OR_SKIP(std::system("command -v promtool > /dev/null") == 0,
                       "promtool is not installed: scripts/install-packages test");
  EXPECT_THAT(Promtool("nonsense"), Not(IsEmpty()));
  EXPECT_EQ(Promtool(MetricsText(Filled())), "");
  EXPECT_EQ(Promtool(MetricsText(Hostile())), "");
  EXPECT_EQ(Promtool(MetricsText(Report())), "");
}

}  // namespace
}  // namespace okms
