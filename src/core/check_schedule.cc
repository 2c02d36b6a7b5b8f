// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/check_schedule.h"

#include <algorithm>

namespace okms {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kHealthy{10'000};
// A candidate must be seen twice; not at once, or one wrong answer could be both.
constexpr milliseconds kSecondLook{5'000};
constexpr milliseconds kFirstRetry{500};
constexpr milliseconds kLastRetry{2'000};
// Between the starts of two checks, whatever comes.
constexpr milliseconds kApart{500};
// After so long without an answer another check begins, by another connection. With a longer
// timeout later, so that there is always one left to begin before the first one's time is over.
constexpr milliseconds kPatience{2'500};

milliseconds RetryAfter(int failures, uint8_t jitter) {
  const milliseconds doubled = kFirstRetry * (1 << std::clamp(failures - 1, 0, 4));
  const milliseconds full = std::min(doubled, kLastRetry);
  return full - full * jitter / 1024;  // up to a quarter less
}

}  // namespace

Deadline CheckSchedule::Next() const {
  if (running_.size() == kMaxChecks) return Deadline::max();
  const bool at_once = urgent_ || (suspected_ && !IsAt(About::kKey));
  const Deadline wanted = at_once ? Deadline() : next_;
  return last_began_ == Deadline() ? wanted : std::max(wanted, last_began_ + kApart);
}

std::optional<CheckSchedule::Ticket> CheckSchedule::Begin(Deadline now) {
  if (now < Next()) return std::nullopt;
  running_.push_back(
      {now, suspected_ || proof_owed_, About::kKey, false, now, now + operation_timeout_});
  suspected_ = false;
  urgent_ = false;
  proof_owed_ = false;
  last_began_ = now;
  next_ = now + Patience();
  return std::prev(running_.end());
}

void CheckSchedule::Suspect(Why why) {
  suspected_ = true;
  urgent_ = urgent_ || why == Why::kAnswer;
}

void CheckSchedule::Renamed() {
  urgent_ = true;
  for (Check& check : running_) check.outdated = check.about == About::kName;
}

Deadline CheckSchedule::Ask(Ticket check, About about, Deadline now) {
  check->about = about;
  check->asked = now;
  check->answer_by = now + operation_timeout_;
  // A list that comes in many pages keeps no look at the key waiting.
  if (about == About::kKey) next_ = std::max(next_, now + Patience());
  return check->answer_by;
}

void CheckSchedule::End(Ticket check, Outcome outcome, Deadline now, uint8_t jitter) {
  proof_owed_ = proof_owed_ || (check->must_prove && outcome == Outcome::kBad);
  const Deadline began = check->began;
  running_.erase(check);
  if (began < last_ended_) {
    // A newer one has told more; but what failed is looked at again.
    if (outcome == Outcome::kBad) next_ = std::min(next_, now + kFirstRetry);
    return;
  }
  last_ended_ = began;
  failures_ = outcome == Outcome::kBad ? failures_ + 1 : 0;
  switch (outcome) {
    case Outcome::kGood: next_ = now + kHealthy; break;
    case Outcome::kUndecided: next_ = now + kSecondLook; break;
    case Outcome::kBad: next_ = now + RetryAfter(failures_, jitter); break;
  }
}

milliseconds CheckSchedule::Patience() const {
  return std::max<milliseconds>(kPatience, operation_timeout_ / int{kMaxChecks});
}

bool CheckSchedule::IsAt(About about) const {
  return std::any_of(running_.begin(), running_.end(), [about](const Check& check) {
    return check.about == about && !check.outdated;
  });
}

std::optional<Deadline> CheckSchedule::WaitingSince(Deadline from, bool about_anything) const {
  std::optional<Deadline> since;
  for (const Check& check : running_) {
    if (check.asked < from || (check.about == About::kName && !about_anything)) continue;
    since = std::min(since.value_or(check.asked), check.asked);
  }
  return since;
}

Deadline CheckSchedule::AnswerBy() const {
  Deadline first = Deadline::max();
  for (const Check& check : running_) first = std::min(first, check.answer_by);
  return first;
}

}  // namespace okms
