// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Another program, for what it says.

#ifndef OKMS_DOCTOR_PROGRAM_H_
#define OKMS_DOCTOR_PROGRAM_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace okms::doctor {

// Runs it, found by PATH, without a shell, and waits for it; what it wrote to standard output.
// Errors: kNotFound, there is none; kUnavailable, it ended with an error, and its first words.
absl::StatusOr<std::string> OutputOf(const std::vector<std::string>& command);

}  // namespace okms::doctor

#endif  // OKMS_DOCTOR_PROGRAM_H_
