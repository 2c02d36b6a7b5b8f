// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Whose rights the process has: an unprivileged user's, and no capability.

#ifndef OKMS_SANDBOX_PRIVILEGES_H_
#define OKMS_SANDBOX_PRIVILEGES_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace okms::sandbox {

// Whom a process that root started becomes, unless it is told.
inline constexpr char kDefaultUser[] = "okms-kms";

struct Account {
  uid_t uid;
  gid_t gid;
  // There is no such user: an id that was free. It may be somebody else's tomorrow, so that
  // whoever has it deserves no trust.
  bool borrowed = false;

  // To be said when it is.
  std::string Advice() const;
};

// Started as root: becomes `user` (a name, a number, or NUMBER:NUMBER for a user and a group
// without an entry; empty: kDefaultUser, or a free id where that does not exist) with that user's
// group and no other, and can never be root again. Started as anybody else: stays who it is;
// `user`, if given, must be just that. Either way all capabilities are given up, and what is left
// is read back.
//
// Capabilities belong to a thread: call it before there are others, and when all that only root may
// read has been read. Errors: kFailedPrecondition, one line that names --user and the remedy.
absl::StatusOr<Account> DropPrivileges(const std::string& user);

// Whether DropPrivileges could become `user`, as far as that can be told without doing it.
absl::Status CheckUser(const std::string& user);

}  // namespace okms::sandbox

#endif  // OKMS_SANDBOX_PRIVILEGES_H_
