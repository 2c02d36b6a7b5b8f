// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/key_state.h"

#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace okms {
namespace {

// How long a round trip counts. Attributes do not tell that the right to Encrypt was withdrawn.
constexpr std::chrono::milliseconds kProofLasts{30'000};
// A round trip that is longer does not fit into the 3 seconds that kube-apiserver gives an Encrypt.
constexpr std::chrono::milliseconds kFitsIntoACall{2'500};

// Our own queue is full, or the process ends; or the request is at fault.
bool TellsNothing(const absl::Status& status) {
  return absl::IsResourceExhausted(status) || absl::IsCancelled(status) ||
         absl::IsInvalidArgument(status);
}

bool ShowsLabels(const KeyReport& report) { return report.info && report.info->labels; }

}  // namespace

void KeyState::SetName(KeyId name, Deadline now) {
  const auto* const before = std::get_if<KeyId>(&name_);
  if (before != nullptr && before->value == name.value) return;
  schedule_.Renamed();
  name_unproven_ = false;
  if (adopted().empty()) {  // what was seen was of another key
    health_ = KeyHealth();
    decided_ = false;
  } else {
    adoption_.Seen(name.value, now);
  }
  name_ = std::move(name);
}

std::string KeyState::InUse() const {
  const auto* const id = std::get_if<KeyId>(&name_);
  return adopted().empty() && id != nullptr ? id->value : adopted();
}

bool KeyState::Encrypted(const std::string& key_id, const absl::Status& status, Deadline began,
                         Deadline now) {
  if (TellsNothing(status) || adopted() != key_id) return false;
  if (status.ok()) {
    health_.Proven(began, now);
    proven_until_ = now + kProofLasts;
    return false;
  }
  if (absl::IsDataLoss(status)) {
    health_.Misfit(status, now);
  } else {
    health_.Failed(status, began, now);
  }
  Suspect(status);
  return true;
}

bool KeyState::Decrypted(const std::string& key_id, const absl::Status& status, Deadline began,
                         Deadline now) {
  if (TellsNothing(status)) return false;
  if (status.ok()) {
    health_.Answered(now);  // a key that no longer encrypts still decrypts
    return false;
  }
  // A refusal may be the record's fault, so it is no more than a reason to look.
  if (IsSilence(status)) {
    health_.Failed(status, began, now);
  } else if (adopted() != key_id) {
    return false;
  }
  Suspect(status);
  return true;
}

void KeyState::Suspect(const absl::Status& status) {
  schedule_.Suspect(Unanswered(status) ? Why::kSilence : Why::kAnswer);
}

bool KeyState::MustProve(const Check& check, Deadline now) const {
  return check.must_prove || health_.doubted() || now >= proven_until_;
}

std::optional<KeyName> KeyState::NextName(Check& check, Deadline now) {
  const auto* const id = std::get_if<KeyId>(&name_);
  if (id != nullptr && id->value == InUse()) return std::nullopt;
  if (schedule_.IsAt(CheckSchedule::About::kName) && !adopted().empty()) {
    if (id == nullptr) {
      adoption_.Untold(absl::DeadlineExceededError("the answer is not complete yet"), now);
    }
    return std::nullopt;
  }
  check.about = CheckSchedule::About::kName;  // before another one may ask
  return name_;
}

absl::Status KeyState::Blamed(const absl::Status& status, const std::string& key_id) const {
  const auto* const id = std::get_if<KeyId>(&name_);
  const bool is_named = id != nullptr && id->value == key_id;
  return absl::IsNotFound(status) && is_named ? Annotate(status, id->option) : status;
}

KeyState::Outcome KeyState::SawKey(const Check& check, const std::string& key_id,
                                   const KeyReport& report, Deadline now) {
  if (absl::IsCancelled(report.status)) return Outcome::kUndecided;
  const absl::Status status = Blamed(report.status, key_id);
  const Outcome outcome = status.ok() ? Outcome::kGood : Outcome::kBad;
  if (key_id != InUse()) return outcome;  // replaced meanwhile
  decided_ = true;
  if (report.info) name_shown_ = report.info->labels.has_value();
  if (status.ok()) {
    health_.Proven(check.began, now);
    if (adopted().empty()) adoption_.Proven(key_id, check.began, now);
    if (report.proven) proven_until_ = now + kProofLasts;
    return outcome;
  }
  if (absl::IsDataLoss(status) && report.info) {
    health_.Misfit(status, now);
  } else if (Unanswered(status) && report.info) {
    health_.Unproven(status, check.asked, now);
  } else if (health_.Failed(status, check.asked, now)) {
    schedule_.Suspect(Why::kAnswer);
  }
  if (!Unanswered(status)) proven_until_ = Deadline();
  return outcome;
}

KeyState::Outcome KeyState::SawName(const Check& check, const LabelAnswer& answer, Outcome so_far,
                                    Deadline now) {
  const absl::Status& wrong = answer.key.status();
  if (absl::IsCancelled(wrong)) return Outcome::kUndecided;
  if (check.outdated) return so_far;
  if (wrong.ok()) {
    if (IsNews(check)) adoption_.Confirmed();
    name_unproven_ = !answer.key->info.labels;
    return so_far;
  }
  decided_ = true;
  const bool in_use = !adopted().empty();
  // Without an answer nothing is known of the name; of a key in use its own check has told.
  if (answer.told || !IsSilence(wrong)) {
    health_.Answered(now);
  } else if (!in_use) {
    health_.Failed(wrong, check.asked, now);
  }
  if (IsNews(check)) {
    if (answer.told) {
      adoption_.Astray(wrong, now);
    } else {
      adoption_.Untold(wrong, now);
    }
  }
  return in_use && adoption_.At(now).ok() ? so_far : Outcome::kBad;
}

// What keeps a key that works from taking the place of the one in use.
absl::Status KeyState::Unsuited(const std::string& key_id, const KeyReport& report) const {
  if (adopted().empty()) return absl::OkStatus();
  const std::string name = absl::StrCat("key ", Printable(key_id));
  const bool by_label = std::holds_alternative<KeyLabel>(name_);
  // Servers and relays that ignore the name in a search give any key.
  if (by_label && name_shown_ && !ShowsLabels(report) && !health_.refused()) {
    return absl::FailedPreconditionError(
        absl::StrCat(name, " hides its label, though the KMS has shown that of key ",
                     Printable(adopted()), "; allow this client to see the attributes of both"));
  }
  // An apiserver writes on with a seed that it has while the key stays; a new key needs an Encrypt.
  if (report.took > kFitsIntoACall && !health_.refused()) {
    return absl::DeadlineExceededError(
        absl::StrCat(name, " works, but slower than kube-apiserver waits for an Encrypt"));
  }
  return absl::OkStatus();
}

void KeyState::SawLead(const Check& check, const std::string& key_id, Deadline now) {
  if (!adopted().empty() && IsNews(check)) adoption_.Seen(key_id, now);
}

KeyState::Outcome KeyState::SawCandidate(const Check& check, const std::string& key_id,
                                         const KeyReport& report, Outcome so_far, Deadline now) {
  // A check beside this one may have had it adopted.
  if (key_id == adopted()) return SawKey(check, key_id, report, now);
  if (absl::IsCancelled(report.status)) return Outcome::kUndecided;
  if (check.outdated) return so_far;
  const bool in_use = !adopted().empty();
  decided_ = true;
  if (report.status.ok()) {
    health_.Answered(now);
    if (!IsNews(check)) return so_far;
    if (const absl::Status unsuited = Unsuited(key_id, report); !unsuited.ok()) {
      adoption_.Failed(key_id, unsuited, now);
      return so_far;
    }
    if (!adoption_.Proven(key_id, check.began, now, health_.refused())) {
      return so_far == Outcome::kGood ? Outcome::kUndecided : so_far;
    }
    health_ = KeyHealth();
    health_.Proven(check.began, now);
    proven_until_ = now + kProofLasts;
    name_shown_ = ShowsLabels(report);
    name_unproven_ = std::holds_alternative<KeyLabel>(name_) && !name_shown_;
    return Outcome::kGood;
  }
  absl::Status wrong = Blamed(report.status, key_id);
  if (!Unanswered(wrong)) {
    health_.Answered(now);
  } else if (in_use) {
    wrong = Annotate(wrong, absl::StrCat("key ", Printable(key_id)));
  } else {
    health_.Failed(wrong, check.asked, now);
    return Outcome::kBad;
  }
  if (IsNews(check)) adoption_.Failed(key_id, wrong, now);
  return in_use ? so_far : Outcome::kBad;
}

// Checks may end in another order than they began: what an older one saw of the name is no news.
bool KeyState::IsNews(const Check& check) {
  if (check.outdated || check.began < name_seen_) return false;
  name_seen_ = check.began;
  return true;
}

std::optional<Deadline> KeyState::WaitingSince() const {
  return schedule_.WaitingSince(health_.answered(), /*about_anything=*/adopted().empty());
}

absl::StatusOr<std::string> KeyState::Answer(Deadline now) const {
  const auto waiting = WaitingSince();
  if (adopted().empty()) {
    if (const auto trouble = health_.TroubleAt(now, waiting)) return trouble->status;
    const auto note = adoption_.Current(now);
    if (note && !note->wrong.ok()) return note->wrong;
    return absl::UnavailableError("no key has been verified yet");
  }
  OKMS_RETURN_IF_ERROR(health_.At(now, waiting));
  OKMS_RETURN_IF_ERROR(adoption_.At(now));
  return adopted();
}

Health KeyState::HealthAt(Deadline now) const {
  Health health{adopted(),
                Answer(now).status(),
                health_.TroubleAt(now, WaitingSince()),
                adoption_.Current(now),
                name_unproven_,
                ""};
  // Without a key, what is wrong with its name is what is wrong.
  if (adopted().empty() && !health.trouble && health.note && !health.note->wrong.ok()) {
    health.trouble = Trouble{health.note->wrong, health.note->since};
  }
  return health;
}

}  // namespace okms
