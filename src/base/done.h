// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// How a call that does not block is answered.

#ifndef OKMS_BASE_DONE_H_
#define OKMS_BASE_DONE_H_

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"

namespace okms {

// Called once, on any thread, perhaps before the call that took it returns. It must not block:
// what else goes to the KMS waits for it to return.
template <typename T>
using Done = absl::AnyInvocable<void(absl::StatusOr<T>)>;

}  // namespace okms

#endif  // OKMS_BASE_DONE_H_
