// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A system call that another process is made to make, as an attacker who runs code in it would.

#ifndef OKMS_TESTS_INTEGRATION_INJECTED_CALL_H_
#define OKMS_TESTS_INTEGRATION_INJECTED_CALL_H_

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"

namespace okms::test {

// Stops a thread that waits in a system call, makes it do another one, and lets it go on as if
// nothing had happened. Returns what the call returned; nullopt: it ended the process. The caller
// is root, and the process' parent. Errors: kUnimplemented on other processors than x86-64;
// kUnavailable when the thread did not wait in a system call; kInternal.
absl::StatusOr<std::optional<int64_t>> InjectCall(pid_t process, pid_t thread, long number,
                                                  const std::array<uint64_t, 6>& arguments);

}  // namespace okms::test

#endif  // OKMS_TESTS_INTEGRATION_INJECTED_CALL_H_
