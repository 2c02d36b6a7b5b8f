// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A survey and its findings, for people and for programs.

#ifndef OKMS_AUDIT_REPORT_H_
#define OKMS_AUDIT_REPORT_H_

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "audit/findings.h"
#include "audit/survey.h"

namespace okms::audit {

// A table, and a line for each finding. `verbose`: the names of the first few objects, too, and
// resources of which nothing is encrypted one by one.
std::string AsText(const Survey& survey, const std::vector<Finding>& findings, bool verbose);

// An object; docs/operations.md says what is in it. It may be added to.
nlohmann::ordered_json AsJson(const Survey& survey, const std::vector<Finding>& findings);

}  // namespace okms::audit

#endif  // OKMS_AUDIT_REPORT_H_
