// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The way to the plugin's socket.

#ifndef OKMS_CLIENT_UNIX_CONNECTION_H_
#define OKMS_CLIENT_UNIX_CONNECTION_H_

#include <chrono>
#include <string>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace okms::client {

// `name`: a path, or "@name" in the abstract namespace. Waits for so long for its turn. Errors:
// kPermissionDenied; kResourceExhausted as many wait already as may, which somebody who listens has
// allowed; kUnavailable.
absl::StatusOr<UniqueFd> ConnectUnix(const std::string& name, std::chrono::seconds patience);

}  // namespace okms::client

#endif  // OKMS_CLIENT_UNIX_CONNECTION_H_
