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

std::string Seconds(Clock::duration duration) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration).count();
  return absl::StrCat(std::max<decltype(seconds)>(seconds, 0), " s");
}

}  // namespace

std::string HowLong(Deadline since, Deadline now, absl::string_view why) {
  return absl::StrCat(" for ", Seconds(now - since), " (", Printable(why, kLongestPart), ")");
}

namespace {

std::string KeyState(const Health& health, Deadline now) {
  const bool adopted = !health.key_id.empty();
  const std::string key = absl::StrCat("key ", Printable(health.key_id, kLongestPart),
                                       health.name_unproven ? " (the KMS hides its name)" : "");
  if (!health.trouble) return adopted ? key : "no key yet";
  const std::string how_long =
      HowLong(health.trouble->since, now, health.trouble->status.message());
  const absl::Status& why = health.trouble->status;
  if (absl::IsUnavailable(why) || absl::IsDeadlineExceeded(why)) {
    const std::string unreachable = absl::StrCat("KMS unreachable", how_long);
    return adopted ? absl::StrCat(unreachable, "; ", key)
                   : absl::StrCat("no key yet: ", unreachable);
  }
  return adopted ? absl::StrCat("check fails", how_long, "; ", key)
                 : absl::StrCat("no key that works", how_long);
}

std::string NameState(const Health& health, Deadline now) {
  if (!health.note || health.key_id.empty()) return "";
  const Adoption::Note& note = *health.note;
  std::string text =
      absl::StrCat("; ", !note.wrong.ok() ? "trouble with the key's name" : "new key",
                   HowLong(note.since, now, note.text));
  if (note.error_from) {
    absl::StrAppend(&text, now < *note.error_from
                               ? absl::StrCat(", an error in ", Seconds(*note.error_from - now))
                               : ", an error by now");
  }
  return text;
}

}  // namespace

std::string StatusLine(const Health& health, Deadline now, absl::string_view more) {
  return absl::StrCat("serving; ", KeyState(health, now), NameState(health, now),
                      health.others.empty() ? "" : "; ", health.others, more);
}

}  // namespace okms
