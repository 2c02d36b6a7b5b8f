// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The report as this program gets it: JSON, from whoever answers at a socket, which need not be the
// plugin.

#ifndef OKMS_CTL_REPORT_H_
#define OKMS_CTL_REPORT_H_

#include <cstddef>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace okms::ctl {

using Json = nlohmann::ordered_json;

inline constexpr std::size_t kLargestReport = 1 << 20;  // bytes

// An object that says whether the plugin is ready, and whatever else; control/report_json.h makes
// it. Errors: kDataLoss.
absl::StatusOr<Json> ParseReport(absl::string_view text);

bool IsReady(const Json& report);

// What a member of an object is, where there is such a one; text is made harmless.
std::string TextOf(const Json& object, const char* name);
std::optional<double> NumberOf(const Json& object, const char* name);
std::optional<bool> TruthOf(const Json& object, const char* name);
// An array or an object; an empty one where there is none.
const Json& MemberOf(const Json& object, const char* name);

}  // namespace okms::ctl

#endif  // OKMS_CTL_REPORT_H_
