// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Which key is used for Encrypt, and when it changes.

#ifndef OKMS_CORE_ADOPTION_H_
#define OKMS_CORE_ADOPTION_H_

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "base/deadline.h"
#include "core/key_health.h"

namespace okms {

// Told what each check found under the configured name; a check that could not tell tells nothing.
// Pure: the time is given, and nothing is done. Not thread-safe.
//
// The first key that is proven is adopted. Later ones, to which the label moved or whose id is the
// name now, are candidates: one is adopted when it was proven in two checks running. Until then,
// and while it fails, nothing is wrong with the adopted key.
class Adoption {
 public:
  // A key that was replaced comes back only after it was the candidate for so long without a break.
  // An apiserver writes under a seed for at most 3 minutes after the last Status that named its
  // key, so by then each of them has taken up the key between, or has stopped to write: replicas
  // that disagree about a label do not make apiservers change keys back and forth. While the KMS
  // refuses the adopted key there is nothing to keep.
  static constexpr std::chrono::minutes kReturn{3};

  // For `label_grace` a label may lead to no key, or to several, before that is an error.
  explicit Adoption(std::chrono::milliseconds label_grace) : label_grace_(label_grace) {}

  // The name leads to the adopted key.
  void Confirmed();
  // The name leads to that key; whether it works is still to be seen.
  void Seen(const std::string& id, Deadline now);
  // The name leads to that key, which encrypts and decrypts: seen by a check that began then.
  // Whether it is now newly adopted. `in_use_refused`: the KMS refuses the adopted one.
  bool Proven(const std::string& id, Deadline began, Deadline now, bool in_use_refused = false);
  // The name leads to that key alone, which is not fit.
  void Failed(const std::string& id, const absl::Status& status, Deadline now);
  // The name leads to no key, or to several.
  void Astray(const absl::Status& status, Deadline now);
  // The KMS did not say where the name leads: nothing speaks against the adopted key.
  void Untold(const absl::Status& status, Deadline now);

  const std::string& adopted() const { return adopted_; }  // empty: none yet

  // How many candidates there were for the place of an adopted key.
  uint64_t candidates() const { return candidates_; }
  // How often a key was adopted.
  uint64_t adoptions() const { return adoptions_; }

  // Something that must be decided soon is under way.
  bool pending() const { return candidate_ && candidate_->proofs > 0; }

  // What is to be said while the name does not lead to the adopted key.
  struct Note {
    absl::Status wrong;  // OK: another key is on its way
    std::string text;
    Deadline since;
    std::optional<Deadline> error_from;  // when it makes Status an error, if ever
    std::string candidate = {};          // the id of the key that it leads to; empty: to none
    bool known = true;                   // not: the KMS does not say where it leads
  };
  std::optional<Note> Current(Deadline now) const;
  // The error that it is now; OK while it is none.
  absl::Status At(Deadline now) const;

 private:
  struct Candidate {
    std::string id;
    Deadline since;
    int proofs = 0;       // running
    Deadline proven;      // the last time
    absl::Status status;  // of the last check; OK before the first
  };

  Candidate& Meet(const std::string& id, Deadline now);
  std::string CandidateText() const;
  bool WasReplaced(const std::string& id) const;
  // Whether that has lasted long enough to be said.
  bool IsUntold(Deadline now) const;

  const std::chrono::milliseconds label_grace_;
  std::string adopted_;
  std::deque<std::string> replaced_;
  std::optional<Candidate> candidate_;
  uint64_t candidates_ = 0;
  uint64_t adoptions_ = 0;
  std::optional<Trouble> astray_;
  std::optional<Trouble> untold_;
};

}  // namespace okms

#endif  // OKMS_CORE_ADOPTION_H_
