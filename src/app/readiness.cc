// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "app/readiness.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace okms {

Verdict Readiness::At(const Health& health, const std::string& unreachable, Deadline now) {
  absl::Status status = health.status;
  if (status.ok() && !unreachable.empty()) status = absl::UnavailableError(unreachable);
  if (status.ok() != ready_) since_ = now;
  ready_ = status.ok();
  return {status, health.key_id, since_};
}

}  // namespace okms
