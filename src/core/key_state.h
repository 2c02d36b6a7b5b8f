// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What is known of the key, and what each call and each link of a check adds to it.

#ifndef OKMS_CORE_KEY_STATE_H_
#define OKMS_CORE_KEY_STATE_H_

#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/deadline.h"
#include "core/adoption.h"
#include "core/check_schedule.h"
#include "core/health.h"
#include "core/key_check.h"
#include "core/key_health.h"
#include "core/key_name.h"
#include "core/label_search.h"

namespace okms {

// Health, adoption and schedule, and the rules between them. Pure: the time is given, and nothing
// is done. Not thread-safe.
class KeyState {
 public:
  using Check = CheckSchedule::Check;
  using Outcome = CheckSchedule::Outcome;
  using Why = CheckSchedule::Why;

  KeyState(KeyName name, std::chrono::milliseconds operation_timeout,
           std::chrono::milliseconds label_grace)
      : name_(std::move(name)), schedule_(operation_timeout), adoption_(label_grace) {}

  // What names the key from now on.
  void SetName(KeyId name, Deadline now);

  CheckSchedule& schedule() { return schedule_; }
  const CheckSchedule& schedule() const { return schedule_; }
  const std::string& adopted() const { return adoption_.adopted(); }  // empty: none yet
  uint64_t candidates() const { return adoption_.candidates(); }
  uint64_t adoptions() const { return adoption_.adoptions(); }
  Deadline answered() const { return health_.answered(); }         // see KeyHealth
  const absl::Status& misfit() const { return health_.misfit(); }  // see KeyHealth
  // The key that a check begins with: the adopted one, or else the one whose id is the name. Empty:
  // there is a label only.
  std::string InUse() const;
  // Whether a check has come to a verdict.
  bool decided() const { return decided_; }

  // A call with that key, begun then, has ended. Whether that makes the key suspect.
  bool Encrypted(const std::string& key_id, const absl::Status& status, Deadline began,
                 Deadline now);
  bool Decrypted(const std::string& key_id, const absl::Status& status, Deadline began,
                 Deadline now);

  // An operation of a check was answered, and the next one follows.
  void Answered(Deadline now) { health_.Answered(now); }
  // Whether the check must make a round trip with the key in use.
  bool MustProve(const Check& check, Deadline now) const;
  // The name that the check goes on to: none when it is the id of the key in use, or while another
  // check is there.
  std::optional<KeyName> NextName(Check& check, Deadline now);
  // What a check saw: of the key in use (or the one that is to be), of the name, of the key that it
  // leads to. `so_far`: what it saw before.
  Outcome SawKey(const Check& check, const std::string& key_id, const KeyReport& report,
                 Deadline now);
  Outcome SawName(const Check& check, const LabelAnswer& answer, Outcome so_far, Deadline now);
  void SawLead(const Check& check, const std::string& key_id, Deadline now);
  Outcome SawCandidate(const Check& check, const std::string& key_id, const KeyReport& report,
                       Outcome so_far, Deadline now);

  // What Status answers.
  absl::StatusOr<std::string> Answer(Deadline now) const;
  Health HealthAt(Deadline now) const;

 private:
  // A call ended so.
  void Suspect(const absl::Status& status);
  bool IsNews(const Check& check);
  // A key that is not there is a matter of what named it.
  absl::Status Blamed(const absl::Status& status, const std::string& key_id) const;
  absl::Status Unsuited(const std::string& key_id, const KeyReport& report) const;
  // Since when the KMS leaves us without an answer about what matters.
  std::optional<Deadline> WaitingSince() const;

  KeyName name_;
  CheckSchedule schedule_;
  Adoption adoption_;
  KeyHealth health_;
  bool decided_ = false;
  Deadline proven_until_;  // until then, attributes are enough
  Deadline name_seen_;     // when the check began that last saw where the name leads
  bool name_unproven_ = false;
  bool name_shown_ = false;  // the KMS shows the labels of the key in use
};

}  // namespace okms

#endif  // OKMS_CORE_KEY_STATE_H_
