// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The results, for people and for programs.

#ifndef OKMS_CONFORMANCE_REPORT_H_
#define OKMS_CONFORMANCE_REPORT_H_

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "conformance/run.h"

namespace okms::conformance {

// The Test Anything Protocol, version 14: what comes first, one result, and why there is none.
std::string TapHead(std::size_t count);
std::string TapLine(const Result& result, std::size_t number);
std::string TapBailOut(const std::string& why);

// {"exit_code": 1, "cases": [{"id", "outcome", "rule", "source", "line"}]}, and a line break.
std::string AsJson(const std::vector<Result>& results, int exit_code);
// The same where nothing was looked at: {"exit_code": 3, "cases": [], "error": why}.
std::string ErrorAsJson(const std::string& why, int exit_code);

// What there is to look at: a line each, in columns, or the same as JSON.
std::string ListText(std::span<const Case> cases);
std::string ListJson(std::span<const Case> cases);

}  // namespace okms::conformance

#endif  // OKMS_CONFORMANCE_REPORT_H_
