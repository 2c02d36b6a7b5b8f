// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What kube-apiserver would be told.

#ifndef OKMS_DOCTOR_KMS_STATUS_H_
#define OKMS_DOCTOR_KMS_STATUS_H_

#include <chrono>
#include <string>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace okms::doctor {

struct KmsStatus {
  std::string version;
  std::string healthz;
  std::string key_id;
};

// Asks for the Status of KMS v2 over this connection, and closes it. Blocks for so long at most.
// Errors: the plugin's own; kUnavailable when it closed the connection.
absl::StatusOr<KmsStatus> AskStatus(UniqueFd connection, std::chrono::milliseconds patience);

}  // namespace okms::doctor

#endif  // OKMS_DOCTOR_KMS_STATUS_H_
