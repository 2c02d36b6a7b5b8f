// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "config/duration.h"

#include "absl/time/time.h"
#include "base/status.h"
#include "config/mistakes.h"

namespace okms {

absl::StatusOr<std::chrono::milliseconds> ParseDuration(absl::string_view flag,
                                                        const std::string& text,
                                                        std::chrono::milliseconds least) {
  const absl::Duration shortest = absl::FromChrono(least);
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration)) {
    return Bad(flag, " ", Printable(text), ": no duration; give for example 10s or 1m30s");
  }
  if (duration < shortest || duration > absl::Hours(24)) {
    return Bad(flag, " ", Printable(text), ": out of range; give between ",
               absl::FormatDuration(shortest), " and 24h");
  }
  return absl::ToChronoMilliseconds(duration);
}

}  // namespace okms
