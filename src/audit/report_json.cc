// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "audit/report.h"
#include "base/status.h"
#include "core/key_id_hash.h"

namespace okms::audit {
namespace {

using Json = nlohmann::ordered_json;

std::string ToString(Standing standing) {
  switch (standing) {
    case Standing::kLive: return "live";
    case Standing::kOldRevision: return "old revision";
    case Standing::kFreedPage: return "freed page";
  }
  return "";
}

void AddTime(Json& object, const char* name, const std::optional<absl::Time>& time) {
  if (time) object[name] = absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", *time, absl::UTCTimeZone());
}

Json OfGroup(const Group& group, const Count& count, const Calendar& calendar) {
  Json one{{"standing", ToString(group.standing)},
           {"resource", group.resource},
           {"kind", std::string(ToString(group.kind))}};
  if (!group.name.empty()) one["name"] = group.name;
  if (!group.wrong.empty()) one["wrong"] = group.wrong;
  if (!group.key_id.empty()) {
    one["key_id"] = group.key_id;
    one["key_id_hash"] = KeyIdHash(group.key_id);
  }
  one["objects"] = count.objects;
  if (count.seeds > 0) one["seeds"] = count.seeds;
  one["oldest_revision"] = count.oldest;
  one["newest_revision"] = count.newest;
  const Between written = calendar.When(count.oldest);
  AddTime(one, "oldest_after", written.from);
  AddTime(one, "oldest_before", written.to);
  return one;
}

}  // namespace

Json AsJson(const Survey& survey, const std::vector<Finding>& findings) {
  Json report{{"source", survey.extent.line},
              {"revision", survey.extent.revision},
              {"prefix", survey.scope.prefix},
              {"history", survey.scope.history}};
  if (survey.scope.history) report["compacted_revision"] = survey.extent.compacted;
  report["values"] = survey.tally.values();
  report["cold_start_decrypts"] = survey.tally.live_seeds();
  report["groups"] = Json::array();
  for (const auto& [group, count] : survey.tally.groups()) {
    report["groups"].push_back(OfGroup(group, count, survey.calendar));
  }
  report["findings"] = Json::array();
  for (const Finding& finding : findings) {
    Json one{{"id", finding.id}, {"wrong", finding.wrong}, {"line", finding.line}};
    if (!finding.objects.empty()) one["objects"] = finding.objects;
    report["findings"].push_back(std::move(one));
  }
  return report;
}

}  // namespace okms::audit
