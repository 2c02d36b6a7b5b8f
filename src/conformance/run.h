// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// One case after the other, each with a plugin that is whole.

#ifndef OKMS_CONFORMANCE_RUN_H_
#define OKMS_CONFORMANCE_RUN_H_

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "conformance/case.h"
#include "conformance/target.h"

namespace okms::conformance {

struct Result {
  const Case* looked_at;
  Verdict verdict;
};

enum ExitCode {
  kAllKept = 0,
  kBreaches = 1,
  kUsageError = 2,
  kCannotTell = 3,
};

// Those of the cases that are named, all of them where none is; what they need is looked at as
// well, and not told. `told` hears of each as soon as it is known.
std::vector<Result> RunCases(std::span<const Case> cases, const std::vector<std::string>& named,
                             Target& target, const std::function<void(const Result&)>& told);

// What is skipped was not asked for; what is unknown was.
ExitCode ExitCodeOf(const std::vector<Result>& results);

}  // namespace okms::conformance

#endif  // OKMS_CONFORMANCE_RUN_H_
