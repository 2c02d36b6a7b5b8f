// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What the process gives up for good, whoever it runs as.

#ifndef OKMS_SANDBOX_PROCESS_H_
#define OKMS_SANDBOX_PROCESS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace okms::sandbox {

// Raises the limit of locked memory as far as the process may, for LockDown. Of use while root.
void RaiseMemoryLimit();

// No new privileges by execve(2); no tracing by other processes of the same user, and no core dump;
// no file may grow; memory stays out of swap where the limit of locked memory (RLIMIT_MEMLOCK) is
// "unlimited". Returns what could not be had and why, a few words each: only locked memory, and the
// limit of file size when the log itself is a file, are let go.
//
// "No new privileges" belongs to a thread: call it before there are others, after DropPrivileges.
// Errors: kFailedPrecondition, one line.
absl::StatusOr<std::vector<std::string>> LockDown();

}  // namespace okms::sandbox

#endif  // OKMS_SANDBOX_PROCESS_H_
