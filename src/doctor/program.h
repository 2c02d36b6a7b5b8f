// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Another program, for what it says.

#ifndef OKMS_DOCTOR_PROGRAM_H_
#define OKMS_DOCTOR_PROGRAM_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/deadline.h"

namespace okms::doctor {

struct Ended {
  bool well;           // by itself, with status 0
  std::string output;  // on both streams
};

// Runs it, found by PATH, without a shell, in English and with nothing to read, and waits for it.
// At `most` bytes, and by the deadline, it is ended. Errors: kNotFound, there is none;
// kUnavailable.
absl::StatusOr<Ended> RunProgram(const std::vector<std::string>& command, std::size_t most,
                                 Deadline deadline);

// The same within some seconds. Errors: also kUnavailable, it ended with an error, and its first
// words.
absl::StatusOr<std::string> OutputOf(const std::vector<std::string>& command);

}  // namespace okms::doctor

#endif  // OKMS_DOCTOR_PROGRAM_H_
