// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/health_log.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "core/key_id_hash.h"

namespace okms {
namespace {

// Many calls that fail side by side may each have another reason to tell.
constexpr std::size_t kMaxReasons = 8;

// Replicas of a KMS that disagree about a label are no reason to fill the log: after some lines of
// the name there is one in so long, for what it is then.
constexpr std::chrono::minutes kLineOfName{10};
constexpr int kLinesOfName = 8;

}  // namespace

bool HealthLog::IsNewReason(const absl::Status& status) {
  absl::Status reason(status.code(), status.message());  // without what differs each time
  if (reasons_.size() == kMaxReasons ||
      std::find(reasons_.begin(), reasons_.end(), reason) != reasons_.end()) {
    return false;
  }
  reasons_.push_back(std::move(reason));
  return true;
}

void HealthLog::SpeakOfName(const Health& health, Deadline now, std::vector<Event>& events) {
  // Without a key, what is wrong with its name is why there is none.
  const std::string note = health.note && !health.key_id.empty() ? health.note->text : "";
  if (note == note_) return;
  const auto is_full = [&] { return name_spent_ - now > (kLinesOfName - 1) * kLineOfName; };
  if (is_full()) return;
  name_spent_ = std::max(name_spent_, now) + kLineOfName;
  note_ = note;
  const std::string key = absl::StrCat("key ", Printable(health.key_id));
  const bool wrong = health.note && !health.note->wrong.ok();
  events.push_back(
      {wrong ? Severity::kError : Severity::kNotice,
       wrong ? EventName::kKeyNameTrouble : EventName::kKeyNameNews,
       absl::StrCat(wrong ? "trouble with the key's name: " : "",
                    note.empty() ? absl::StrCat("the key's name leads to ", key, " again")
                                 : absl::StrCat(note, "; ", key, " stays in use"),
                    health.note && health.note->error_from ? " for a while (--label-grace)" : "",
                    is_full() ? "; that changes often: from now on it is said now and then" : ""),
       KeyIdHash(health.key_id)});
}

std::vector<Event> HealthLog::Changes(const Health& health, Deadline now) {
  std::vector<Event> events;
  const std::string key = Printable(health.key_id);
  const std::string before = std::exchange(key_id_, health.key_id);
  if (before != health.key_id) {
    events.push_back({Severity::kNotice, EventName::kKeyAdopted,
                      absl::StrCat("ready: key ", key, " encrypts and decrypts",
                                   before.empty() ? "" : "; it replaces key ", Printable(before)),
                      KeyIdHash(health.key_id)});
  } else if (health.status.ok() && unwell()) {
    events.push_back({Severity::kNotice, EventName::kReadyAgain,
                      absl::StrCat("ready again: key ", key), KeyIdHash(health.key_id)});
  }
  if (health.status.ok()) {
    reasons_.clear();
  } else if (IsNewReason(health.status)) {
    events.push_back({Severity::kError, EventName::kNotReady,
                      absl::StrCat("not ready: ", Describe(health.status)),
                      KeyIdHash(health.key_id)});
  }

  if (before != health.key_id && !health.note) note_.clear();  // what was on its way is there
  SpeakOfName(health, now, events);
  if (std::exchange(name_unproven_, health.name_unproven) != health.name_unproven &&
      health.name_unproven) {
    events.push_back(
        {Severity::kWarning, EventName::kKeyNameHidden,
         absl::StrCat("the KMS hides the names of keys: that key ", key,
                      " has the label is its word alone; --encryption-key-id needs none"),
         KeyIdHash(health.key_id)});
  }
  return events;
}

}  // namespace okms
