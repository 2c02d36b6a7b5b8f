// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// How it all is, and how that is said in one line.

#ifndef OKMS_CORE_HEALTH_H_
#define OKMS_CORE_HEALTH_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/deadline.h"
#include "core/adoption.h"
#include "core/key_health.h"

namespace okms {

struct Health {
  std::string key_id;   // of the adopted key; empty when there is none yet
  absl::Status status;  // what Status answers
  // What is wrong with the key or the way to it, however short that is, and whether it counts or
  // not.
  std::optional<Trouble> trouble;
  // What is to be said about its name, or about the key that it leads to now.
  std::optional<Adoption::Note> note;
  bool name_unproven = false;  // the KMS hides names: that this is the key of the label is its word
  std::string others{};        // OtherKeys::Counts::Summary
};

// For a line of state: " for 42 s (connect: Connection refused)".
std::string HowLong(Deadline since, Deadline now, absl::string_view why);

// For people, as `systemctl status` shows it; `more` is put at the end. For example
// "serving; KMS unreachable for 42 s (connect: Connection refused); key 70001308".
std::string StatusLine(const Health& health, Deadline now, absl::string_view more);

}  // namespace okms

#endif  // OKMS_CORE_HEALTH_H_
