// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/health.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace okms {
namespace {

// A key id, or a reason, of any length would hide what comes after it.
constexpr std::size_t kLongestPart = 300;  // bytes

std::string State(const Health& health, Deadline now) {
  const bool adopted = !health.key_id.empty();
  const std::string key = absl::StrCat("key ", Printable(health.key_id, kLongestPart));
  if (health.status.ok()) return key;
  if (!health.failing_since) return "no key yet";
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(now - *health.failing_since).count();
  const std::string how_long =
      absl::StrCat(" for ", std::max<decltype(seconds)>(seconds, 0), " s (",
                   Printable(health.status.message(), kLongestPart), ")");
  if (IsSilence(health.status)) {
    const std::string unreachable = absl::StrCat("KMS unreachable", how_long);
    return adopted ? absl::StrCat(unreachable, "; ", key)
                   : absl::StrCat("no key yet: ", unreachable);
  }
  return adopted ? absl::StrCat("check fails", how_long, "; ", key)
                 : absl::StrCat("no key that works", how_long);
}

}  // namespace

bool IsSilence(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

std::string StatusLine(const Health& health, Deadline now, absl::string_view more) {
  return absl::StrCat("serving; ", State(health, now), more);
}

}  // namespace okms
