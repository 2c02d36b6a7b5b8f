// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The report, as the object on the system bus has it.

#ifndef OKMS_CTL_BUS_REPORT_H_
#define OKMS_CTL_BUS_REPORT_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/deadline.h"
#include "ctl/report.h"

namespace okms::ctl {

// What the plugin is called there: see BusNames. `instance`: empty: the one without, or the only
// one.
std::string BusNameOf(const std::string& instance);

// Of whoever has that name. Blocks until the deadline at the longest. Errors: kNotFound there is no
// bus, or nobody has the name; kPermissionDenied; kDeadlineExceeded; kUnavailable.
absl::StatusOr<Json> BusReport(const std::string& name, Deadline deadline);

}  // namespace okms::ctl

#endif  // OKMS_CTL_BUS_REPORT_H_
