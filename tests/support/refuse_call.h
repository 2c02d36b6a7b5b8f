// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A kernel, or a container's filter, that does not do what is asked of it.

#ifndef OKMS_TESTS_SUPPORT_REFUSE_CALL_H_
#define OKMS_TESTS_SUPPORT_REFUSE_CALL_H_

#include <string>

#include "absl/status/status.h"

namespace okms::test {

// From now on this system call of this process, and of the programs that it becomes, fails with
// `error`; 0: it claims to succeed, and does nothing. `call`: NAME, or NAME:INDEX=VALUE to refuse
// it only if the argument of this number (from 0) has this value. Errors: kFailedPrecondition.
absl::Status RefuseCall(const std::string& call, int error);

}  // namespace okms::test

#endif  // OKMS_TESTS_SUPPORT_REFUSE_CALL_H_
