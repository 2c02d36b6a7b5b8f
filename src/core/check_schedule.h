// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// When the key is checked.

#ifndef OKMS_CORE_CHECK_SCHEDULE_H_
#define OKMS_CORE_CHECK_SCHEDULE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>

#include "base/deadline.h"

namespace okms {

// Pure: the time is given, and nothing is done. Not thread-safe.
//
// Checks that succeed are 10 seconds apart, others less. One may begin beside another: when that
// one waits for an answer and may be on a dead connection, or when it began before the key became
// suspect.
class CheckSchedule {
 public:
  static constexpr std::size_t kMaxChecks = 4;  // at once

  // What an operation asks about: the key in use, or where its name leads.
  enum class About { kKey, kName };

  struct Check {
    Deadline began;
    bool must_prove = false;  // a suspicion is to be cleared up: a round trip is needed
    About about = About::kKey;
    bool outdated = false;  // it asks about what is no longer the name
    Deadline asked;         // when its last operation began
    Deadline answer_by;
  };
  using Ticket = std::list<Check>::iterator;

  enum class Outcome {
    kGood,
    kUndecided,  // something is to be looked at again soon
    kBad,
  };

  // `operation_timeout`: of each operation of a check.
  explicit CheckSchedule(std::chrono::milliseconds operation_timeout)
      : operation_timeout_(operation_timeout) {}

  // Begins a check if one is due.
  std::optional<Ticket> Begin(Deadline now);
  // Its next operation begins; by when that is to be answered.
  Deadline Ask(Ticket check, About about, Deadline now);
  // `jitter`, a random number, keeps several control planes from knocking in step.
  void End(Ticket check, Outcome outcome, Deadline now, uint8_t jitter);

  // A call failed in a way that makes the key suspect: one check more, with a round trip. A check
  // that began before does not count for it.
  enum class Why {
    kSilence,  // what is under way will tell first: more of them would hang as well
    kAnswer,   // as soon as may be
  };
  void Suspect(Why why);

  // The key has another name now: a check is due at once, and what is asked about the one before is
  // of no use.
  void Renamed();

  // When to call Begin again.
  Deadline Next() const;

  // Whether a check is at that, and of use. At the name, one at a time is enough: it may hang, or
  // be long.
  bool IsAt(About about) const;

  // When the oldest operation without an answer began, of those that began no earlier than `from`
  // and are about the key, or about anything; none when there is none.
  std::optional<Deadline> WaitingSince(Deadline from, bool about_anything) const;
  // By when the first operation is to be answered; the end of time when there is none.
  Deadline AnswerBy() const;

 private:
  // How long a check may wait for an answer before another one begins.
  std::chrono::milliseconds Patience() const;

  const std::chrono::milliseconds operation_timeout_;
  std::list<Check> running_;
  Deadline last_began_;      // the epoch: none has
  Deadline last_ended_;      // when the newest check that has ended began
  Deadline next_;            // unless there is a suspicion
  bool suspected_ = false;   // since the last check began
  bool urgent_ = false;      // as soon as may be
  bool proof_owed_ = false;  // a check that was to clear a suspicion up did not
  int failures_ = 0;         // in a row
};

}  // namespace okms

#endif  // OKMS_CORE_CHECK_SCHEDULE_H_
