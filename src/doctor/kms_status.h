// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Status, as kube-apiserver asks for it.

#ifndef OKMS_DOCTOR_KMS_STATUS_H_
#define OKMS_DOCTOR_KMS_STATUS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/deadline.h"
#include "base/unique_fd.h"

namespace okms::doctor {

struct KmsStatus {
  absl::Status error;   // what was answered in place of what follows
  std::string healthz;  // "ok"
  std::string key_id;

  // Whether it is ready; else why not, with the code of the answer.
  absl::Status Verdict() const;
};

// Over a connection to the plugin. Blocks until the deadline at the longest. Errors, where nothing
// was answered: kPermissionDenied the plugin hung up, as it does on strangers; kDeadlineExceeded.
absl::StatusOr<KmsStatus> AskStatus(UniqueFd connection, Deadline deadline);

}  // namespace okms::doctor

#endif  // OKMS_DOCTOR_KMS_STATUS_H_
