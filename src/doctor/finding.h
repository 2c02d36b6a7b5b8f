// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What a check came to.

#ifndef OKMS_DOCTOR_FINDING_H_
#define OKMS_DOCTOR_FINDING_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace okms::doctor {

enum class Outcome {
  kPassed,
  kFailed,
  kWarning,  // works, and is hardly meant, or soon will not work
  kSkipped,  // what it needs was not good: it was not looked at, and may be anything
  kUnknown,  // it could not be looked at, for a reason of its own
};

absl::string_view ToString(Outcome outcome);  // "passed"

// What a check says: once for each thing that is to be said.
struct Verdict {
  Outcome outcome;
  std::string line;  // one, without a secret
  std::string mend;  // one command that mends it, or shows where to; empty: there is none
};
// Of one check. None: there is nothing to look at here, so it is not spoken of.
using Verdicts = std::vector<Verdict>;

inline Verdicts Passed(std::string line) { return {{Outcome::kPassed, std::move(line), ""}}; }
inline Verdicts Failed(std::string line, std::string mend) {
  return {{Outcome::kFailed, std::move(line), std::move(mend)}};
}
inline Verdicts Warning(std::string line, std::string mend) {
  return {{Outcome::kWarning, std::move(line), std::move(mend)}};
}
inline Verdicts Unknown(std::string line, std::string mend) {
  return {{Outcome::kUnknown, std::move(line), std::move(mend)}};
}

struct Finding {
  std::string id;     // of the check, which stays the same for ever: "client-cert.dates"
  std::string about;  // the host of the KMS, where each is looked at; else empty
  Verdict verdict;
  std::vector<std::string> blocks = {};  // the checks that were skipped for it, each once
};

// The code to exit with: 0 all that was asked is good (warnings included); 1 something failed; 3
// nothing failed, but something was not seen.
int ExitCodeOf(const std::vector<Finding>& findings);

}  // namespace okms::doctor

#endif  // OKMS_DOCTOR_FINDING_H_
