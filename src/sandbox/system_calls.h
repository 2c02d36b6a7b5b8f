// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The system calls that the running plugin may make: the one list. All others end the process.

#ifndef OKMS_SANDBOX_SYSTEM_CALLS_H_
#define OKMS_SANDBOX_SYSTEM_CALLS_H_

#include <cstdint>
#include <span>
#include <vector>

namespace okms::sandbox {

// The bits `mask` of argument number `index` (from 0) must be `value`. Masks of int arguments have
// 32 bits: what is above, the kernel does not look at.
struct Argument {
  unsigned index;
  uint64_t mask;
  uint64_t value;
};

// A call that is allowed if all of `arguments` fit. Several entries for one call are alternatives.
struct AllowedCall {
  const char* name;
  const char* reason;
  std::vector<Argument> arguments = {};
  // The name where the architecture has no call of the first name (arm64 has only the newer ones).
  const char* other_name = nullptr;
};

// A call that libraries make and can do without: it fails with `error`, if all of `arguments` fit,
// and they go on.
struct RefusedCall {
  const char* name;
  int error;
  const char* reason;
  std::vector<Argument> arguments = {};
};

std::span<const AllowedCall> AllowedCalls();
std::span<const RefusedCall> RefusedCalls();

}  // namespace okms::sandbox

#endif  // OKMS_SANDBOX_SYSTEM_CALLS_H_
