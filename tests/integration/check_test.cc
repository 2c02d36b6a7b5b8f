// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "integration/check_test.h"

#include <sys/stat.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"

namespace okms::test {

CheckTest::Said CheckTest::Report::at(const std::string& id) const {
  EXPECT_EQ(findings.count(id), 1U) << id << " in " << text;
  const auto found = findings.find(id);
  return found == findings.end() ? Said() : found->second;
}

CheckTest::Ended CheckTest::Ctl(std::vector<std::string> arguments,
                                std::vector<std::string> environment) {
  ChildOptions options;
  options.argv = {OKMS_CTL_PROGRAM};
  options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
  options.environment = std::move(environment);
  const auto ctl = Must(ChildProcess::Start(options));
  const std::optional<int> exit_status = ctl->Wait();
  return {exit_status, ctl->Err(), ctl->Out()};
}

CheckTest::Report CheckTest::Check(std::vector<std::string> options,
                                   std::vector<std::string> environment) {
  options.insert(options.begin(), {"check", "-o", "json"});
  const std::vector<std::string> argv = Argv();
  if (argv.size() > 1) options.emplace_back("--");
  options.insert(options.end(), argv.begin() + 1, argv.end());
  const Ended ended = Ctl(std::move(options), std::move(environment));
  Report report;
  report.exit_code = ended.exit_status;
  report.text = ended.out + ended.err;
  const auto json = nlohmann::json::parse(ended.out, nullptr, /*allow_exceptions=*/false);
  Must(json.is_object(), "no JSON: " + report.text);
  EXPECT_EQ(json["exit_code"], ended.exit_status.value_or(-1));
  for (const auto& finding : json["findings"]) {
    report.findings.insert(
        {finding["id"],
         {finding["outcome"], Plain(finding["line"]), Plain(finding.value("mend", "")),
          finding.value("blocks", std::vector<std::string>())}});
  }
  return report;
}

std::string CheckTest::Plain(std::string text) const {
  absl::StrReplaceAll({{dir_.path(), "DIR"}, {absl::StrCat(":", port()), ":PORT"}}, &text);
  text = std::regex_replace(text, std::regex("request id [-0-9a-f]+"), "request id ID");
  return std::regex_replace(
      text, std::regex("[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2}:[0-9]{2} UTC)?"), "DATE");
}

std::string CheckTest::Write(const std::string& name, const std::string& text, unsigned mode) {
  const std::string path = dir_ / name;
  std::ofstream(path) << text;
  Must(::chmod(path.c_str(), mode) == 0, "chmod");
  return path;
}

std::string CheckTest::Content(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

void CheckTest::UsePair(const KeyPairFiles& pair) {
  flags_["--client-cert"] = pair.certificate;
  flags_["--client-key"] = pair.key;
}

void CheckTest::UseRest() {
  StopKms();
  StartOkms();
  flags_["--protocol"] = "rest";
  flags_["--serv-addr"] = absl::StrCat("https://127.0.0.1:", port());
  flags_["--okms-id"] = kDefaultOkmsId;
  flags_["--encryption-key-id"] = kKeyId;
}

void CheckTable::Run() {
  const Broken& broken = GetParam();
  StartKms();
  broken.spoil(*this);
  const Report report = Check();
  EXPECT_EQ(report.exit_code, broken.exit_code) << report.text;
  const Said said = report.at(broken.id);
  EXPECT_EQ(said.outcome, broken.outcome) << report.text;
  EXPECT_EQ(said.line, broken.line);
  EXPECT_EQ(said.blocks, broken.blocks);
  // That the plugin does not run is no fault of the configuration's.
  const std::set<std::string> skipped(broken.blocks.begin(), broken.blocks.end());
  const std::set<std::string> also(broken.also.begin(), broken.also.end());
  for (const auto& [id, other] : report.findings) {
    if (id == broken.id || absl::StartsWith(id, "socket.") || also.count(id) > 0) continue;
    EXPECT_EQ(other.outcome, skipped.count(id) > 0 ? "skipped" : "passed")
        << id << ": " << other.line;
  }
}

}  // namespace okms::test
