// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// No wrap that cannot be unwrapped: each encryption is followed by the decryption of what came
// back.

#ifndef OKMS_CORE_ROUND_TRIP_H_
#define OKMS_CORE_ROUND_TRIP_H_

#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/deadline.h"
#include "base/secret.h"
#include "core/backend.h"

namespace okms {

// Encrypts, has what came back decrypted, and compares the two in constant time; only then is
// `done` given the ciphertext. kube-apiserver has a seed encrypted once and writes with it for
// days, so what could not be decrypted would take all of that with it. By two ways, and so over two
// connections, the answer is not that of one replica alone, which may have another key of that id.
// Does not block; `backend` must outlive the answer. Errors: the backend's; kDataLoss when the KMS
// does not give back what it was given (also when it refuses its own ciphertext) or its answer
// makes no sense.
void RoundTrip(Backend& backend, Way encrypt_by, Way decrypt_by, const std::string& key_id,
               Secret plaintext, NextDeadline deadline, Done<Ciphertext> done);

struct Trip {
  absl::StatusOr<Ciphertext> result;
  Clock::duration took{};
};

// The same with random bytes, as many as a seed has, by the ways of checks: whether the key works.
// Errors: also kInternal, no random bytes.
void RandomRoundTrip(Backend& backend, const std::string& key_id, NextDeadline deadline,
                     absl::AnyInvocable<void(Trip)> done);

}  // namespace okms

#endif  // OKMS_CORE_ROUND_TRIP_H_
