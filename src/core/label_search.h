// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Which key a label means.

#ifndef OKMS_CORE_LABEL_SEARCH_H_
#define OKMS_CORE_LABEL_SEARCH_H_

#include <map>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "core/backend.h"
#include "core/round_trip.h"

namespace okms {

struct LabelledKey {
  std::string id;
  KeyInfo info;
};

// What was seen of keys not long ago, by id.
using KnownKeys = std::map<std::string, KeyInfo>;

struct LabelAnswer {
  absl::StatusOr<LabelledKey> key;
  // Whether the KMS told where the label leads, even if that is nowhere. Else `key` has its error,
  // or that of what stands before it, which may be of any kind.
  bool told = true;
};

// The one key of that label. What the KMS names is asked for its label and state, unless it is in
// `known`: there are servers (and relays) that ignore the name in a search and give any key. Of
// several keys, those do not count that are shown to be unfit or to have another label. A key that
// is alone is given even if it is unfit: its info says why. By the way of the checks; does not
// block; `backend` must outlive the answer. Errors: kNotFound (no key), kFailedPrecondition
// (several, or one with another label), which name what was found; the backend's.
void FindByLabel(Backend& backend, const std::string& label, KnownKeys known, NextDeadline deadline,
                 absl::AnyInvocable<void(LabelAnswer)> done);

}  // namespace okms

#endif  // OKMS_CORE_LABEL_SEARCH_H_
