// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// How the key is, and how that is said in one line.

#ifndef OKMS_CORE_HEALTH_H_
#define OKMS_CORE_HEALTH_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/deadline.h"

namespace okms {

struct Health {
  std::string key_id;   // of the key last adopted; empty when there is none yet
  absl::Status status;  // of the last check; an error also before the first one has ended
  // Since when checks fail for want of an answer, or since when they fail for another reason. None
  // while they succeed, and before the first one has ended.
  std::optional<Deadline> failing_since;
};

// Whether a check failed for want of an answer, rather than by the answer.
bool IsSilence(const absl::Status& status);

// For people, as `systemctl status` shows it; `more` is put at the end. For example
// "serving; KMS unreachable for 42 s (connect: Connection refused); key 70001308".
std::string StatusLine(const Health& health, Deadline now, absl::string_view more);

}  // namespace okms

#endif  // OKMS_CORE_HEALTH_H_
