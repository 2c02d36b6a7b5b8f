// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// How the key in use is, by all that is seen of it.

#ifndef OKMS_CORE_KEY_HEALTH_H_
#define OKMS_CORE_KEY_HEALTH_H_

#include <chrono>
#include <optional>

#include "absl/status/status.h"
#include "base/deadline.h"

namespace okms {

// Whether something failed for want of a usable answer, rather than by what the KMS answered about
// the key.
bool IsSilence(const absl::Status& status);

// Whether there was no answer at all, not even one that makes no sense.
bool Unanswered(const absl::Status& status);

struct Trouble {
  absl::Status status;
  Deadline since;
};

// Every operation with the KMS is evidence, a call's as well as a check's: what began when, and how
// it ended. Pure: the time is given, and nothing is done. Not thread-safe.
//
// Silence counts as an error when there was nothing else for as long as kSilence. What the KMS says
// against the key counts at once. A success mends what was before it: any one ends silence, and one
// that shows that the key encrypts and decrypts ends everything that it can know of, which is what
// was said before it began.
class KeyHealth {
 public:
  // kube-apiserver calls with 3 seconds of patience and asks an unhealthy plugin each 10 seconds:
  // what is shorter than that it bridges itself.
  static constexpr std::chrono::milliseconds kSilence{10'000};

  // The KMS answered, with success, whatever about.
  void Answered(Deadline now);
  // The key encrypts and decrypts, or was seen to be active not long after it did; seen by what
  // began then.
  void Proven(Deadline began, Deadline now);
  // Something failed that began then. Returns whether it is no more than a suspicion, since what
  // came after it began went well: a check must tell.
  bool Failed(const absl::Status& status, Deadline began, Deadline now);
  // A round trip with the key that began then has had no answer, though the KMS answers other
  // things: no such answer ends that.
  void Unproven(const absl::Status& status, Deadline began, Deadline now);
  // What came back was not what went in: Encrypt must stop until the key is proven.
  void Misfit(const absl::Status& status, Deadline now);

  Deadline answered() const { return answered_; }  // the last success; the epoch: none
  // Whether the KMS says something against the key.
  bool refused() const { return refusal_.has_value(); }
  // Whether something stands that a proof alone can end.
  bool doubted() const { return refusal_ || unproven_; }
  // The error of a misfit; OK while there is none.
  const absl::Status& misfit() const { return misfit_; }

  // What is wrong, and since when, however short that is. `waiting_since`: when the oldest
  // operation that is without an answer began, of those that began after the last success.
  std::optional<Trouble> TroubleAt(Deadline now, std::optional<Deadline> waiting_since) const;
  // The same, as far as it counts.
  absl::Status At(Deadline now, std::optional<Deadline> waiting_since) const;

 private:
  Deadline answered_;                // the last success; the epoch at first
  Deadline proven_;                  // the last proof
  std::optional<Trouble> silence_;   // since when the first that failed had waited
  std::optional<Trouble> unproven_;  // since when round trips have had no answer
  std::optional<Trouble> refusal_;   // what the KMS says against the key
  absl::Status misfit_;
  Deadline refused_last_;  // when it was last said
};

}  // namespace okms

#endif  // OKMS_CORE_KEY_HEALTH_H_
