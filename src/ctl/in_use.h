// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#ifndef OKMS_CTL_IN_USE_H_
#define OKMS_CTL_IN_USE_H_

#include "absl/status/statusor.h"
#include "doctor/examination.h"

namespace okms::ctl {

// Asks the plugin of that configuration, by its status pages or on the system bus. Errors: those of
// Ask.
absl::StatusOr<doctor::InUse> AskInUse(const doctor::Examination& all);

}  // namespace okms::ctl

#endif  // OKMS_CTL_IN_USE_H_
