// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "doctor/finding.h"

#include <algorithm>

namespace okms::doctor {

absl::string_view ToString(Outcome outcome) {
  switch (outcome) {
    case Outcome::kPassed: return "passed";
    case Outcome::kFailed: return "failed";
    case Outcome::kWarning: return "warning";
    case Outcome::kSkipped: return "skipped";
    case Outcome::kUnknown: return "unknown";
  }
  return "unknown";
}

int ExitCodeOf(const std::vector<Finding>& findings) {
  const auto any = [&](Outcome outcome) {
    return std::any_of(findings.begin(), findings.end(), [outcome](const Finding& finding) {
      return finding.verdict.outcome == outcome;
    });
  };
  if (any(Outcome::kFailed)) return 1;
  // To have looked at nothing is not to have found nothing.
  const bool all_seen = !any(Outcome::kSkipped) && !any(Outcome::kUnknown) && !findings.empty();
  return all_seen ? 0 : 3;
}

}  // namespace okms::doctor
