// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "ctl/in_use.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/strip.h"
#include "base/status.h"
#include "ctl/report.h"
#include "ctl/sources.h"
#include "version.h"

namespace okms::ctl {
namespace {

// None: it is of another name than our units have.
std::optional<Places> PlacesOf(absl::string_view unit) {
  Places places;
  if (!absl::ConsumeSuffix(&unit, ".service") || !absl::ConsumePrefix(&unit, kProgram)) {
    return std::nullopt;
  }
  if (!unit.empty() && !absl::ConsumePrefix(&unit, "@")) return std::nullopt;
  places.instance = std::string(unit);
  return places;
}

}  // namespace

absl::StatusOr<doctor::InUse> AskInUse(const doctor::Examination& all) {
  std::vector<Source> sources;
  if (const auto& place = all.config->status_listen) sources.push_back(Pages(*place));
  if (const auto places = PlacesOf(all.found.unit)) {
    for (Source& source : ReportsOf(*places)) sources.push_back(std::move(source));
  }
  if (sources.empty()) return absl::UnavailableError("it has no status pages");
  OKMS_ASSIGN_OR_RETURN(const Found found, Ask(sources));
  doctor::InUse in_use;
  for (const Json& each : MemberOf(found.report, "certificates")) {
    const auto not_before = NumberOf(each, "not_before");
    const auto not_after = NumberOf(each, "not_after");
    if (!not_before || !not_after) continue;
    in_use.certificates.push_back(
        {TextOf(each, "file"), TextOf(each, "path"), *not_before, *not_after});
  }
  in_use.trouble = TextOf(MemberOf(found.report, "reload"), "trouble");
  return in_use;
}

}  // namespace okms::ctl
