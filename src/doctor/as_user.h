// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// To do something as another user, which as root would always go well.

#ifndef OKMS_DOCTOR_AS_USER_H_
#define OKMS_DOCTOR_AS_USER_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace okms::doctor {

struct User {
  std::string name;
  uid_t uid;
  gid_t gid;
  std::vector<gid_t> groups;  // gid among them
};

// A name or a number, with all groups that the system's files give that user; UID:GID for who has
// no entry. Errors: kNotFound, one line.
absl::StatusOr<User> FindUser(const std::string& text);

// The first folder on the way to a path that does not let the user through, by its mode; empty: all
// do, or it is something else than modes.
std::string ClosedFolder(const User& user, const std::string& path);

// The two that follow fork a child that becomes that user, which takes root, and does one thing.
// They may be called while there are other threads. Errors: kPermissionDenied when we are not root
// ("only root ..."); kUnavailable, what the kernel said to that user.

// A connection of that user to a unix socket, a path or "@NAME": whoever listens sees that user
// (SO_PEERCRED is of the moment of connect(2)), whoever goes on to use it. kResourceExhausted:
// somebody listens, and as many wait already as may.
absl::StatusOr<UniqueFd> ConnectAs(const User& user, absl::string_view socket);

// Whether that user can read the file.
absl::Status CanRead(const User& user, const std::string& path);

}  // namespace okms::doctor

#endif  // OKMS_DOCTOR_AS_USER_H_
