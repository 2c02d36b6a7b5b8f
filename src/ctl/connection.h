// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The way to a socket of the plugin's.

#ifndef OKMS_CTL_CONNECTION_H_
#define OKMS_CTL_CONNECTION_H_

#include "absl/status/statusor.h"
#include "base/deadline.h"
#include "base/unique_fd.h"
#include "config/status_listen.h"

namespace okms::ctl {

// A connected socket that does not block. Blocks until the deadline at the longest. Errors:
// kNotFound there is no such socket; kPermissionDenied; kUnavailable nobody listens, or nobody
// takes the connection in time.
absl::StatusOr<UniqueFd> Connect(const StatusListen& to, Deadline deadline);

}  // namespace okms::ctl

#endif  // OKMS_CTL_CONNECTION_H_
