// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Which key is used, whether it works, and what the requests may be.

#ifndef OKMS_CORE_KEY_MANAGER_H_
#define OKMS_CORE_KEY_MANAGER_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/deadline.h"
#include "base/guarded.h"
#include "base/log.h"
#include "base/secret.h"
#include "core/backend.h"
#include "core/check_schedule.h"
#include "core/health.h"
#include "core/health_log.h"
#include "core/key_name.h"
#include "core/key_state.h"
#include "core/label_search.h"
#include "core/other_keys.h"

namespace okms {

struct Encrypted {
  std::string key_id;  // the key that encrypted
  Ciphertext ciphertext;
};

// What was seen so far.
struct KeyStats {
  // Checks that have ended.
  uint64_t good = 0;
  uint64_t undecided = 0;  // something is to be looked at again soon
  uint64_t bad = 0;
  Deadline last_good;       // when one last ended well; the epoch: none has
  Deadline last_answer;     // the last success of anything that the KMS was asked; the epoch: none
  uint64_t candidates = 0;  // keys that were to take the place of the one in use
  uint64_t adoptions = 0;   // the first key's among them
};

struct KeyPolicy {
  KeyName name;
  std::chrono::milliseconds operation_timeout;  // of each operation of a check
  std::chrono::milliseconds label_grace;        // see Adoption
};

// Thread-safe; no call blocks. The key is found and checked in the background, so Status costs no
// round trip and waits for nothing but the very first verdict. A key is adopted only after a round
// trip with it; from then on it is the key for Encrypt until another one has been adopted, also
// while checks fail: the KMS itself refuses what it must.
class KeyManager {
 public:
  // `now` is for tests.
  KeyManager(std::unique_ptr<Backend> backend, const Logger& log, KeyPolicy policy,
             std::function<Deadline()> now = Clock::now);

  // The id of the adopted key while all is well; else the reason. Before the first check has come
  // to a verdict that is waited for, until about `deadline`.
  void Status(Deadline deadline, Done<std::string> done);

  // What comes back has been decrypted again (RoundTrip). Errors: kInvalidArgument (size), the
  // reason why there is no key yet, kDataLoss, and the backend's.
  void Encrypt(Secret plaintext, Deadline deadline, Done<Encrypted> done);

  // With the key named by the record, whatever the current one is. Errors: kInvalidArgument (size)
  // and the backend's.
  void Decrypt(const std::string& key_id, Ciphertext ciphertext, Deadline deadline,
               Done<Secret> done);

  // What names the key from now on, for one that is named by its id. The key in use stays until
  // that one was proven in two checks running (Adoption), of which the first begins at once.
  void SetName(KeyId name);

  // Has a check begin that makes a round trip, as soon as one may (CheckSchedule), however often it
  // is asked for.
  void CheckSoon();

  // Does what is due: starts checks, answers those who waited in vain, and logs what time alone
  // changed. Returns when to call again.
  Deadline Tick();

  // The end is near: answers at once who waits, and starts no more checks. Calls are served on.
  void Stop();

  // How all is now, without waiting.
  Health Current() const;
  KeyStats Stats() const;

  // What was decrypted with other keys than the one in use.
  OtherKeys::Counts OtherDecrypts() const;

  // By when an operation of a check is to be answered; the end of time when none is under way.
  Deadline CheckDeadline() const;

 private:
  using Ticket = CheckSchedule::Ticket;
  using Outcome = CheckSchedule::Outcome;
  struct Waiter {
    Deadline deadline;
    Done<std::string> done;
  };
  struct State {
    explicit State(KeyPolicy policy)
        : key(std::move(policy.name), policy.operation_timeout, policy.label_grace) {}

    KeyState key;
    HealthLog log;
    OtherKeys others;
    KeyStats stats;
    bool stopping = false;
    std::vector<Waiter> waiters;  // for the first verdict
  };

  // The links of a check, in order.
  void StartCheck(Ticket check);
  void CheckInUse(Ticket check, const std::string& key_id);
  void GoOnToName(Ticket check, KnownKeys known, Outcome so_far);
  void Search(Ticket check, const std::string& label, KnownKeys known, Outcome so_far);
  void CheckCandidate(Ticket check, const std::string& key_id, std::optional<KeyInfo> known,
                      Outcome so_far);
  void EndCheck(Ticket check, Outcome outcome);
  static void Count(State& state, Outcome outcome, Deadline now);
  NextDeadline OperationsOf(Ticket check, CheckSchedule::About about);

  void CountOther(State& state, const std::string& key_id);
  void EncryptWith(const std::string& key_id, Secret plaintext, Deadline deadline,
                   Done<Encrypted> done);
  // Starts what is due, answers whom it can, and logs changes.
  void Advance();

  const Logger& log_;
  const std::function<Deadline()> now_;
  Guarded<State> state_;
  const std::unique_ptr<Backend> backend_;  // last: its threads call back into all above
};

}  // namespace okms

#endif  // OKMS_CORE_KEY_MANAGER_H_
