// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What stands in a file of etcd's: what `etcdctl snapshot save` writes, or the database (in its
// data folder, member/snap/db) of an etcd that does not run.

#ifndef OKMS_AUDIT_SNAPSHOT_H_
#define OKMS_AUDIT_SNAPSHOT_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "audit/store.h"

namespace okms::audit {

// Errors, here and from the store: kNotFound, kPermissionDenied; kFailedPrecondition: this is not
// such a file, or one of an etcd that runs; kDataLoss: it is damaged; kAborted: it was written
// while it was read. The digest at its end, if it has one, is checked by Open.
absl::StatusOr<std::unique_ptr<Store>> OpenSnapshot(const std::string& path);

}  // namespace okms::audit

#endif  // OKMS_AUDIT_SNAPSHOT_H_
