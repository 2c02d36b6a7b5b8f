// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A file of text that somebody named.

#ifndef OKMS_DOCTOR_TEXT_FILE_H_
#define OKMS_DOCTOR_TEXT_FILE_H_

#include <string>

#include "absl/status/statusor.h"

namespace okms::doctor {

// A regular file of 1 MiB at most. Errors: kNotFound, kPermissionDenied, kFailedPrecondition, one
// line with its name.
absl::StatusOr<std::string> ReadTextFile(const std::string& path);

}  // namespace okms::doctor

#endif  // OKMS_DOCTOR_TEXT_FILE_H_
