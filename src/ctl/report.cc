// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "ctl/report.h"

#include "absl/status/status.h"
#include "base/status.h"

namespace okms::ctl {
namespace {

constexpr int kDeepest = 16;                // what works on it goes down by recursion
constexpr std::size_t kLongestText = 1000;  // bytes

}  // namespace

absl::StatusOr<Json> ParseReport(absl::string_view text) {
  bool too_deep = false;
  const auto keep = [&too_deep](int depth, Json::parse_event_t /*event*/, Json& /*value*/) {
    too_deep |= depth > kDeepest;
    return !too_deep;
  };
  Json report = Json::parse(text.begin(), text.end(), keep, /*allow_exceptions=*/false);
  if (too_deep || !TruthOf(report, "ready")) {
    return absl::DataLossError("what answers there is no report of the plugin's");
  }
  return report;
}

bool IsReady(const Json& report) { return TruthOf(report, "ready").value_or(false); }

std::string TextOf(const Json& object, const char* name) {
  const auto member = object.find(name);
  if (member == object.end() || !member->is_string()) return "";
  return Printable(member->get_ref<const std::string&>(), kLongestText);
}

std::optional<double> NumberOf(const Json& object, const char* name) {
  const auto member = object.find(name);
  if (member == object.end() || !member->is_number()) return std::nullopt;
  return member->get<double>();
}

std::optional<bool> TruthOf(const Json& object, const char* name) {
  const auto member = object.find(name);
  if (member == object.end() || !member->is_boolean()) return std::nullopt;
  return member->get<bool>();
}

const Json& MemberOf(const Json& object, const char* name) {
  static const Json kNothing = Json::array();
  const auto member = object.find(name);
  return member == object.end() || !member->is_structured() ? kNothing : *member;
}

}  // namespace okms::ctl
