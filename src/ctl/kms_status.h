// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Status, as kube-apiserver asks for it.

#ifndef OKMS_CTL_KMS_STATUS_H_
#define OKMS_CTL_KMS_STATUS_H_

#include "absl/status/statusor.h"
#include "base/deadline.h"
#include "base/unique_fd.h"
#include "ctl/report.h"

namespace okms::ctl {

// What the answer says, as a report, which has less in it than the plugin's own: the verdict and
// the key. `socket` is connected and does not block. Blocks until the deadline at the longest.
// Errors: kPermissionDenied the plugin hung up, as it does on strangers; kDeadlineExceeded.
absl::StatusOr<Json> KmsStatus(UniqueFd socket, Deadline deadline);

}  // namespace okms::ctl

#endif  // OKMS_CTL_KMS_STATUS_H_
