// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A report as people read it.

#ifndef OKMS_CTL_REPORT_TEXT_H_
#define OKMS_CTL_REPORT_TEXT_H_

#include <string>

#include "absl/strings/string_view.h"
#include "ctl/report.h"

namespace okms::ctl {

// How long that is, by its two largest units: "3 d 4 h", "12 min", "0 s".
std::string SpanText(double seconds);

// "ready", or why not.
std::string VerdictText(const Json& report);

// One line: the verdict, the key, how many hosts are up, and the certificate that ends first.
std::string BriefText(const Json& report);

// All that a person wants to know of it, a line each, with who said so; the last ones are what has
// changed. What is not in the report is left out.
// So is its line of state, which may be some seconds older than the rest.
std::string ReportText(const Json& report, absl::string_view source);

}  // namespace okms::ctl

#endif  // OKMS_CTL_REPORT_TEXT_H_
