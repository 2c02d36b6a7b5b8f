// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Whether a key is fit, and works.

#ifndef OKMS_CORE_KEY_CHECK_H_
#define OKMS_CORE_KEY_CHECK_H_

#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "core/backend.h"
#include "core/round_trip.h"

namespace okms {

struct KeyReport {
  absl::Status status;     // OK: nothing is wrong with the key
  bool proven = false;     // a round trip with it was made, rather than its attributes seen alone
  Clock::duration took{};  // that round trip
  std::optional<KeyInfo> info;  // none when the KMS did not answer that question
};

// Looks at the key's attributes (unless they are `known`) and, if it `must_prove` or the KMS does
// not show that the key is active, makes a round trip of random bytes; by the way of the checks.
// Does not block; `backend` must outlive the answer. Errors: as RoundTrip's; kNotFound,
// kFailedPrecondition (kind, state or usage); each of them names the key, unless there was no
// answer at all.
void CheckKey(Backend& backend, const std::string& key_id, std::optional<KeyInfo> known,
              bool must_prove, NextDeadline deadline, absl::AnyInvocable<void(KeyReport)> done);

}  // namespace okms

#endif  // OKMS_CORE_KEY_CHECK_H_
