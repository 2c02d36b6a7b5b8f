// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The filter of system calls: seccomp(2), by libseccomp.

#ifndef OKMS_SANDBOX_SECCOMP_H_
#define OKMS_SANDBOX_SECCOMP_H_

#include "absl/status/status.h"

namespace okms::sandbox {

// From now on every thread of the process may make only the calls of system_calls.h; any other one,
// and any call by another architecture's table (i386, x32), ends the process with SIGSYS. Cannot be
// undone. "No new privileges" must be set. Call it when all libraries are loaded and have started
// their threads. Errors: kFailedPrecondition, one line.
absl::Status LoadFilter();

// Writes the filter that LoadFilter would set to `fd`, as an array of sock_filter: for tests
// that read it as the kernel does. Errors: kFailedPrecondition.
absl::Status ExportFilter(int fd);

}  // namespace okms::sandbox

#endif  // OKMS_SANDBOX_SECCOMP_H_
