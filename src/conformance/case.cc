// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "conformance/case.h"

namespace okms::conformance {

absl::string_view ToString(Outcome outcome) {
  switch (outcome) {
    case Outcome::kKept: return "kept";
    case Outcome::kBroken: return "broken";
    case Outcome::kSkipped: return "skipped";
    case Outcome::kUnknown: return "unknown";
  }
  return "unknown";
}

absl::string_view ToString(Hands hands) {
  switch (hands) {
    case Hands::kNone: return "";
    case Hands::kPlugin: return "--plugin";
    case Hands::kKms: return "--plugin, --kms";
    case Hands::kCounts: return "--plugin, --kms, --kms-counts";
    case Hands::kRotation: return "--plugin, --kms, --rotate";
  }
  return "";
}

}  // namespace okms::conformance
