// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The findings, for people and for programs.

#ifndef OKMS_DOCTOR_REPORT_H_
#define OKMS_DOCTOR_REPORT_H_

#include <string>
#include <vector>

#include "doctor/finding.h"

namespace okms::doctor {

// A line for each, what mends it and what it blocks below it, and one that counts them.
std::string AsText(const std::vector<Finding>& findings);

// {"exit_code": 1, "findings": [{"id", "about", "outcome", "line", "mend", "blocks"}]}, and a line
// break.
std::string AsJson(const std::vector<Finding>& findings);

}  // namespace okms::doctor

#endif  // OKMS_DOCTOR_REPORT_H_
