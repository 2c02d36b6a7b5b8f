// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What may be said over gRPC, whose texts are UTF-8.

#ifndef OKMS_SERVICE_ANSWERABLE_H_
#define OKMS_SERVICE_ANSWERABLE_H_

#include <string>

#include "absl/status/statusor.h"

namespace okms {

// The id of a key as we answer it: gRPC's clients would refuse the whole message over one that is
// no UTF-8, and not say why. Errors: kFailedPrecondition, and that of `key_id`.
absl::StatusOr<std::string> Answerable(absl::StatusOr<std::string> key_id);

}  // namespace okms

#endif  // OKMS_SERVICE_ANSWERABLE_H_
