// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The report as programs and people read it.

#ifndef OKMS_CONTROL_REPORT_JSON_H_
#define OKMS_CONTROL_REPORT_JSON_H_

#include <string>

#include "control/report.h"

namespace okms {

// One object on one line. Its names stay; docs/operations.md tells what they mean.
std::string ReportJson(const Report& report);

}  // namespace okms

#endif  // OKMS_CONTROL_REPORT_JSON_H_
