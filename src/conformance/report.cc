// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "conformance/report.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/utf8.h"

namespace okms::conformance {
namespace {

using nlohmann::ordered_json;

// JSON's texts are YAML's as well.
std::string Quoted(absl::string_view text) {
  return ordered_json(std::string(text))
      .dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string Dump(const ordered_json& all) {
  return all.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

ordered_json AsObject(const Case& each) {
  return {{"id", std::string(each.id)},
          {"rule", std::string(each.rule)},
          {"source", std::string(each.source)}};
}

}  // namespace

std::string TapHead(std::size_t count) { return absl::StrCat("TAP version 14\n1..", count, "\n"); }

std::string TapLine(const Result& result, std::size_t number) {
  const Case& about = *result.looked_at;
  const Verdict& verdict = result.verdict;
  const std::string what = absl::StrCat(number, " - ", about.id, ": ", about.rule);
  switch (verdict.outcome) {
    case Outcome::kKept: return absl::StrCat("ok ", what, "\n");
    case Outcome::kSkipped:
      return absl::StrCat("ok ", what, " # SKIP ", OneLine(verdict.line), "\n");
    case Outcome::kUnknown:
      return absl::StrCat("ok ", what, " # SKIP cannot tell: ", OneLine(verdict.line), "\n");
    case Outcome::kBroken: break;
  }
  return absl::StrCat("not ok ", what, "\n  ---\n  found: ", Quoted(OneLine(verdict.line)),
                      "\n  source: ", Quoted(about.source), "\n  ...\n");
}

std::string TapBailOut(const std::string& why) {
  return absl::StrCat("Bail out! ", OneLine(why), "\n");
}

std::string AsJson(const std::vector<Result>& results, int exit_code) {
  ordered_json cases = ordered_json::array();
  for (const Result& result : results) {
    ordered_json one = AsObject(*result.looked_at);
    one["outcome"] = std::string(ToString(result.verdict.outcome));
    if (!result.verdict.line.empty()) one["line"] = OneLine(result.verdict.line);
    cases.push_back(std::move(one));
  }
  return Dump({{"exit_code", exit_code}, {"cases", cases}});
}

std::string ErrorAsJson(const std::string& why, int exit_code) {
  return Dump(
      {{"exit_code", exit_code}, {"cases", ordered_json::array()}, {"error", OneLine(why)}});
}

std::string ListText(std::span<const Case> cases) {
  std::string text;
  for (const Case& each : cases) {
    absl::StrAppend(&text,
                    absl::StrFormat("%-25s%s\n%-25s  %s\n", each.id, each.rule, "", each.source));
  }
  return text;
}

std::string ListJson(std::span<const Case> cases) {
  ordered_json all = ordered_json::array();
  for (const Case& each : cases) {
    ordered_json one = AsObject(each);
    one["needs"] = std::string(ToString(each.hands));
    all.push_back(std::move(one));
  }
  return Dump(all);
}

}  // namespace okms::conformance
