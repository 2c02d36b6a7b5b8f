// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "service/failure_log.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "core/key_id_hash.h"

namespace okms {
namespace {

constexpr std::size_t kShown = 80;  // bytes of a peer's text

}  // namespace

void FailureLog::Add(absl::string_view call, absl::string_view uid, absl::string_view key_id,
                     const absl::Status& status, Deadline now) {
  Tick(now);
  const std::string key = key_id.empty() ? "" : absl::StrCat("key ", Printable(key_id, kShown));
  // Without what differs from one failure to the next.
  std::string kind =
      absl::StrCat(call, " failed", key.empty() ? "" : absl::StrCat(" (", key, ")"), ": ",
                   absl::StatusCodeToString(status.code()), ": ", status.message());
  const std::string shown_uid = Printable(uid, kShown);
  std::string line = absl::StrCat(call, " failed (uid ", shown_uid, key.empty() ? "" : ", ", key,
                                  "): ", Describe(status));
  const bool wanted = minute_.With([&](Minute& minute) {
    if (minute.end == Deadline::max()) minute.end = now + std::chrono::minutes(1);
    const auto known = minute.kinds.find(kind);
    if (known == minute.kinds.end() && minute.kinds.size() == kKinds) {
      ++minute.more;
      return false;
    }
    Kind& of = known != minute.kinds.end() ? known->second : minute.kinds[std::move(kind)];
    if (of.lines.size() == kLinesOfAKind ||
        std::find(of.lines.begin(), of.lines.end(), line) != of.lines.end()) {
      ++of.more;
      return false;
    }
    of.lines.push_back(line);
    return true;
  });
  if (wanted) {
    log_.Write({Severity::kWarning, EventName::kCallFailed, std::move(line), KeyIdHash(key_id),
                shown_uid});
  } else {
    folded_.Add();
  }
}

void FailureLog::Tick(Deadline now) {
  const Minute over = minute_.With([&](Minute& minute) {
    return now < minute.end ? Minute() : std::exchange(minute, Minute());
  });
  for (const auto& [kind, of] : over.kinds) {
    if (of.more == 0) continue;
    log_.Warning(EventName::kCallsFailed,
                 absl::StrCat(kind, " (and ", of.more, " more in the last minute)"));
  }
  if (over.more > 0) {
    log_.Warning(EventName::kCallsFailed,
                 absl::StrCat(over.more,
                              " more calls failed in the last minute, for reasons or "
                              "with keys that differ from those above"));
  }
}

}  // namespace okms
