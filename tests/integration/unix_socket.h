// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Unix sockets by hand: what a well-behaved client library would not let a test do.

#ifndef OKMS_TESTS_INTEGRATION_UNIX_SOCKET_H_
#define OKMS_TESTS_INTEGRATION_UNIX_SOCKET_H_

#include <sys/socket.h>
#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace okms::test {

// Bound to `path`; for SOCK_STREAM also listening unless told otherwise.
absl::StatusOr<UniqueFd> BindUnix(const std::string& path, int type = SOCK_STREAM,
                                  bool listening = true);

absl::StatusOr<UniqueFd> ConnectUnix(const std::string& path);

// Connects as another user, which is what the other side sees for the life of the connection. The
// caller must be root; it stays so.
absl::StatusOr<UniqueFd> ConnectUnixAs(const std::string& path, uid_t uid, gid_t gid,
                                       std::vector<gid_t> groups = {});

struct Heard {
  std::string bytes;
  bool closed = false;  // by the other side, in order or by a reset
};

// Sends `bytes`, then listens until `enough` says so, the other side closes, or patience ends.
Heard Exchange(int fd, const std::string& bytes,
               const std::function<bool(const std::string&)>& enough);

}  // namespace okms::test

#endif  // OKMS_TESTS_INTEGRATION_UNIX_SOCKET_H_
