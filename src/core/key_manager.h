// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Which key is used, whether it works, and what the requests may be.

#ifndef OKMS_CORE_KEY_MANAGER_H_
#define OKMS_CORE_KEY_MANAGER_H_

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/deadline.h"
#include "base/guarded.h"
#include "base/log.h"
#include "base/secret.h"
#include "core/backend.h"
#include "core/health.h"

namespace okms {

// A key that has proven itself by a round trip. Immutable: a request keeps the one it began with.
struct Key {
  std::string id;
};

struct Encrypted {
  std::string key_id;  // the key that encrypted
  Ciphertext ciphertext;
};

// Thread-safe; no call blocks. The key is found and checked in the background: at the start, then
// again and again (more often while it fails), so Status costs no round trip to the KMS. A key is
// adopted only after an Encrypt and a Decrypt with it gave back what went in; from then on it stays
// the key for Encrypt until another one has been adopted, also while checks fail: the KMS itself
// refuses what it must.
class KeyManager {
 public:
  // `operation_timeout` bounds one check.
  KeyManager(std::unique_ptr<Backend> backend, const Logger& log,
             std::chrono::milliseconds operation_timeout)
      : log_(log), operation_timeout_(operation_timeout), backend_(std::move(backend)) {}

  // The id of the current key, if it works. While it does not, the reason. When a check is under
  // way that ends before `deadline` (or is due and can be made before), its outcome is waited for.
  void Status(Deadline deadline, Done<std::string> done);

  // Errors: kInvalidArgument (size), the reason why there is no key yet, and the backend's.
  void Encrypt(Secret plaintext, Deadline deadline, Done<Encrypted> done);

  // With the key named by the record, whatever the current one is. Errors: kInvalidArgument (size)
  // and the backend's.
  void Decrypt(const std::string& key_id, Ciphertext ciphertext, Deadline deadline,
               Done<Secret> done);

  // Starts a check if one is due. Returns when to call again.
  Deadline Tick();

  // How the key is now, without waiting.
  Health Current() const;

  // By when the check under way is to end; the end of time when none is.
  Deadline CheckDeadline() const;

 private:
  using KeyPtr = std::shared_ptr<const Key>;  // shared by the requests that began with it

  struct State {
    KeyPtr key;  // the last one adopted
    absl::Status health = absl::UnavailableError("no key has been verified yet");
    std::optional<Deadline> failing_since;  // see Health
    bool checking = false;
    Deadline check_deadline;            // of the check under way
    Deadline next_check;                // not before this; the epoch at first
    Deadline proven_until;              // until then, attributes are enough
    int failures = 0;                   // checks in a row
    std::vector<Done<KeyPtr>> waiters;  // for the check under way
  };

  // The key, or the reason why there is none that works; see Status.
  void WithCheckedKey(Deadline deadline, Done<KeyPtr> done);
  // Claims the check if none is under way; true means that the caller must start it.
  bool ClaimCheck(State& state, Deadline until) const;
  void StartCheck(Deadline deadline);
  void Prove(const std::string& key_id, Deadline deadline);
  void FinishCheck(absl::StatusOr<KeyPtr> result);
  bool IsCurrent(const std::string& key_id) const;
  // A call failed in a way that makes the key suspect: have it proven again.
  void Suspect(const absl::Status& status);

  const Logger& log_;
  const std::chrono::milliseconds operation_timeout_;
  Guarded<State> state_;
  const std::unique_ptr<Backend> backend_;  // last: its threads call back into all above
};

}  // namespace okms

#endif  // OKMS_CORE_KEY_MANAGER_H_
