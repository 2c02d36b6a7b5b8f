// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#ifndef OKMS_BASE_AWAIT_H_
#define OKMS_BASE_AWAIT_H_

#include "absl/status/status.h"
#include "base/deadline.h"

namespace okms {

// Blocks until the descriptor is ready for one of these of poll(2), or broken. For who has nothing
// else to do. Errors: kDeadlineExceeded.
absl::Status Await(int fd, short events, Deadline deadline);

}  // namespace okms

#endif  // OKMS_BASE_AWAIT_H_
