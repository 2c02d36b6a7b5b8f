// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "doctor/report.h"

#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "base/utf8.h"

namespace okms::doctor {
namespace {

// A command; a file's name in it may be what should be in the file.
std::string Shown(const std::string& command) { return OneLine(WithoutPem(command)); }

std::string Counts(const std::vector<Finding>& findings) {
  std::map<Outcome, int> counts;
  for (const Finding& finding : findings) ++counts[finding.verdict.outcome];
  std::vector<std::string> words;
  for (const auto& [outcome, count] : counts) {
    words.push_back(absl::StrCat(count, " ", ToString(outcome)));
  }
  return absl::StrJoin(words, ", ");
}

}  // namespace

std::string AsText(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& finding : findings) {
    const Verdict& verdict = finding.verdict;
    const std::string about = finding.about.empty() ? "" : absl::StrCat(finding.about, ": ");
    absl::StrAppend(&text, absl::StrFormat("%-8s%-29s", ToString(verdict.outcome), finding.id),
                    OneLine(absl::StrCat(about, verdict.line)), "\n");
    if (!verdict.mend.empty())
      absl::StrAppend(&text, "        try     ", Shown(verdict.mend), "\n");
    if (!finding.blocks.empty()) {
      absl::StrAppend(&text, "        blocks  ", absl::StrJoin(finding.blocks, ", "), "\n");
    }
  }
  return absl::StrCat(text, Counts(findings), "\n");
}

std::string AsJson(const std::vector<Finding>& findings) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const Finding& finding : findings) {
    nlohmann::ordered_json one{{"id", finding.id}};
    if (!finding.about.empty()) one["about"] = finding.about;
    one["outcome"] = std::string(ToString(finding.verdict.outcome));
    one["line"] = OneLine(finding.verdict.line);
    if (!finding.verdict.mend.empty()) one["mend"] = Shown(finding.verdict.mend);
    if (!finding.blocks.empty()) one["blocks"] = finding.blocks;
    all.push_back(std::move(one));
  }
  const nlohmann::ordered_json report{{"exit_code", ExitCodeOf(findings)}, {"findings", all}};
  return report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace okms::doctor
