// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The sandbox as a whole, in the two steps in which it can be set up. Always on: there is no
// switch.

#ifndef OKMS_SANDBOX_CONFINE_H_
#define OKMS_SANDBOX_CONFINE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sandbox/landlock.h"
#include "sandbox/privileges.h"

namespace okms::sandbox {

// What was achieved, as far as it depends on the machine.
struct Confinement {
  std::string landlock;  // "Landlock ABI 7", or that there is none
  std::string all;       // that, and what LockDown could not have
  Account account;       // who we are now
  int landlock_abi = 0;  // 0: there is none
};

// First step: rights, limits, files and ports; all that belongs to a thread and is inherited. Call
// it when the files that only root may read have been read, and before there is another thread.
// Errors: kFailedPrecondition, one line that names the layer; the process must end then.
absl::StatusOr<Confinement> Confine(const std::string& user, const Reach& reach);

// Second step: system calls, for all threads. Call it when libraries are loaded and have their
// threads, and before a byte from outside is read. Errors: as above.
absl::Status FilterSystemCalls();

}  // namespace okms::sandbox

#endif  // OKMS_SANDBOX_CONFINE_H_
