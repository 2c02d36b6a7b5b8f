// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// One rule of the contract, and what looking for a breach of it came to.

#ifndef OKMS_CONFORMANCE_CASE_H_
#define OKMS_CONFORMANCE_CASE_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace okms::conformance {

class Target;

enum class Outcome {
  kKept,
  kBroken,
  kSkipped,  // not asked for: what it needs was not given, or there is no such thing here
  kUnknown,  // it could not be looked at
};

absl::string_view ToString(Outcome outcome);  // "kept"

struct Verdict {
  Outcome outcome = Outcome::kKept;
  std::string line = "";  // one, of what was seen; empty when the rule is kept
};

inline Verdict Kept() { return {}; }
inline Verdict Broken(std::string seen) { return {Outcome::kBroken, std::move(seen)}; }
inline Verdict Unknown(std::string why) { return {Outcome::kUnknown, std::move(why)}; }

// What has to be in the kit's hands.
enum class Hands {
  kNone,
  kPlugin,    // --plugin
  kKms,       // --plugin and --kms
  kCounts,    // and --kms-counts
  kRotation,  // --plugin, --kms and --rotate
};

absl::string_view ToString(Hands hands);  // the flags: "--plugin, --kms"; empty for nothing

struct Case {
  absl::string_view id;                       // stays the same for ever
  absl::string_view rule;                     // one line
  absl::string_view source;                   // who says so
  std::vector<absl::string_view> needs = {};  // cases above it, by id: they must be kept
  Hands hands = Hands::kNone;
  Verdict (*look)(Target& target) = nullptr;
};

// All there are, in their order.
const std::vector<Case>& AllCases();

}  // namespace okms::conformance

#endif  // OKMS_CONFORMANCE_CASE_H_
