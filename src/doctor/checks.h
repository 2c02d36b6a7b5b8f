// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The checks as a table, and what runs it.

#ifndef OKMS_DOCTOR_CHECKS_H_
#define OKMS_DOCTOR_CHECKS_H_

#include <span>
#include <vector>

#include "absl/strings/string_view.h"
#include "doctor/examination.h"
#include "doctor/finding.h"

namespace okms::doctor {

// A row. Exactly one of the two functions is given: that of a check which is made once, or for each
// host of the KMS. It is called only when all that it needs was good, or had nothing to look at.
struct Check {
  absl::string_view id;
  std::vector<absl::string_view> needs = {};  // rows above it, by id
  // Whether there is anything to look at; else it is not spoken of. None: always.
  bool (*asked)(const Examination& all) = nullptr;
  Verdicts (*once)(Examination& all) = nullptr;
  Verdicts (*each)(Examination& all, Endpoint& endpoint) = nullptr;
};

// All checks there are, in their order: each stands below what it needs.
const std::vector<Check>& AllChecks();

// Runs them in their order; rows for each host that stand together go host by host. Blocks as long
// as the slowest of them waits. What a check skipped for another one is among that one's `blocks`.
std::vector<Finding> RunChecks(std::span<const Check> checks, Examination& all);

}  // namespace okms::doctor

#endif  // OKMS_DOCTOR_CHECKS_H_
