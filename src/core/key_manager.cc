// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A check is a chain of backend calls: FindKey, then, unless the same key was proven not long ago
// and the KMS showed its attributes again, Encrypt and Decrypt of random bytes. Only one runs at a
// time; its outcome is for everyone who waits.

#include "core/key_manager.h"

#include <openssl/rand.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "core/limits.h"

namespace okms {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kHealthyInterval{10'000};
// How long a round trip counts. Attributes do not tell that the right to Encrypt was withdrawn.
constexpr milliseconds kProofLasts{30'000};
constexpr milliseconds kFirstRetry{500};
constexpr milliseconds kLastRetry{5'000};

// A first check leaves the apiserver's call (3 s by default) time to be answered with the outcome.
// After one that took too long, the next ones may take all the time there is.
constexpr milliseconds kShortCheck{2'000};
constexpr milliseconds kShortestCheck{500};

constexpr std::size_t kProbeSize = 32;  // bytes, as the seeds that the apiserver sends

milliseconds RetryAfter(int failures) {
  const milliseconds doubled = kFirstRetry * (1 << std::clamp(failures - 1, 0, 4));
  // Several control planes must not knock in step: up to a quarter less.
  uint8_t random = 0;
  if (RAND_bytes(&random, 1) != 1) random = 0;
  const milliseconds full = std::min(doubled, kLastRetry);
  return full - full * random / 1024;
}

}  // namespace

Health KeyManager::Current() const {
  return state_.With([](const State& state) {
    return Health{state.key == nullptr ? "" : state.key->id, state.health, state.failing_since};
  });
}

Deadline KeyManager::CheckDeadline() const {
  return state_.With(
      [](const State& state) { return state.checking ? state.check_deadline : Deadline::max(); });
}

void KeyManager::Status(Deadline deadline, Done<std::string> done) {
  WithCheckedKey(deadline, [done = std::move(done)](absl::StatusOr<KeyPtr> key) mutable {
    if (key.ok()) {
      done((*key)->id);
    } else {
      done(std::move(key).status());
    }
  });
}

void KeyManager::WithCheckedKey(Deadline deadline, Done<KeyPtr> done) {
  absl::StatusOr<KeyPtr> answer = KeyPtr();
  bool answered = false;
  bool start = false;
  // A caller in a great hurry must not make the check fail for everyone.
  const Deadline check_deadline =
      std::max(deadline, Clock::now() + std::min(operation_timeout_, kShortestCheck));
  state_.With([&](State& state) {
    if (state.health.ok()) {
      answer = state.key;
      answered = true;
      return;
    }
    start = Clock::now() >= state.next_check && ClaimCheck(state, check_deadline);
    if (state.checking && state.check_deadline <= deadline) {
      state.waiters.push_back(std::move(done));
    } else {
      answer = state.health;
      answered = true;
    }
  });
  if (answered) done(std::move(answer));
  if (start) StartCheck(check_deadline);
}

void KeyManager::Encrypt(Secret plaintext, Deadline deadline, Done<Encrypted> done) {
  if (absl::Status status = CheckPlaintext(plaintext.size()); !status.ok()) {
    done(std::move(status));
    return;
  }
  auto encrypt = [this, plaintext = std::move(plaintext), deadline,
                  done = std::move(done)](absl::StatusOr<KeyPtr> key) mutable {
    if (!key.ok()) {
      done(std::move(key).status());
      return;
    }
    std::string id = (*key)->id;
    backend_->Encrypt(
        id, std::move(plaintext), deadline,
        [this, id, done = std::move(done)](absl::StatusOr<Ciphertext> result) mutable {
          absl::Status status = result.ok() ? CheckEncrypted(*result) : result.status();
          if (status.ok()) {
            done(Encrypted{std::move(id), *std::move(result)});
            return;
          }
          Suspect(status);
          done(std::move(status));
        });
  };
  KeyPtr adopted = state_.With([](const State& state) { return state.key; });
  if (adopted != nullptr) {
    encrypt(std::move(adopted));
  } else {
    WithCheckedKey(deadline, std::move(encrypt));
  }
}

void KeyManager::Decrypt(const std::string& key_id, Ciphertext ciphertext, Deadline deadline,
                         Done<Secret> done) {
  if (absl::Status status = CheckDecryptRequest(key_id, ciphertext); !status.ok()) {
    done(std::move(status));
    return;
  }
  backend_->Decrypt(key_id, std::move(ciphertext), deadline,
                    [this, key_id, done = std::move(done)](absl::StatusOr<Secret> result) mutable {
                      // A refusal concerns the record's key, which may be an old one; silence
                      // concerns all.
                      if (absl::IsUnavailable(result.status()) ||
                          absl::IsDeadlineExceeded(result.status()) ||
                          (!result.ok() && IsCurrent(key_id))) {
                        Suspect(result.status());
                      }
                      done(std::move(result));
                    });
}

bool KeyManager::IsCurrent(const std::string& key_id) const {
  return state_.With(
      [&](const State& state) { return state.key != nullptr && state.key->id == key_id; });
}

void KeyManager::Suspect(const absl::Status& status) {
  if (absl::IsInvalidArgument(status) || absl::IsResourceExhausted(status)) return;
  const Deadline deadline = Clock::now() + operation_timeout_;
  const bool start = state_.With([&](State& state) {
    state.proven_until = Deadline();
    // While it fails already, the next check is near.
    return state.health.ok() && ClaimCheck(state, deadline);
  });
  if (start) StartCheck(deadline);
}

Deadline KeyManager::Tick() {
  bool start = false;
  Deadline deadline;
  const Deadline next = state_.With([&](State& state) {
    const auto now = Clock::now();
    if (now >= state.next_check) {
      const bool was_late = absl::IsDeadlineExceeded(state.health);
      deadline = now + (was_late ? operation_timeout_ : std::min(operation_timeout_, kShortCheck));
      start = ClaimCheck(state, deadline);
    }
    // The outcome of a check under way decides when the next one is due: look again soon.
    return state.checking ? now + kFirstRetry : state.next_check;
  });
  if (start) StartCheck(deadline);
  return next;
}

bool KeyManager::ClaimCheck(State& state, Deadline until) const {
  if (state.checking) return false;
  state.checking = true;
  state.check_deadline = until;
  return true;
}

void KeyManager::StartCheck(Deadline deadline) {
  backend_->FindKey(deadline, [this, deadline](absl::StatusOr<KeyInfo> found) {
    if (!found.ok()) {
      FinishCheck(found.status());
      return;
    }
    if (absl::Status status = CheckKeyId(found->id); !status.ok()) {
      FinishCheck(std::move(status));
      return;
    }
    KeyPtr proven = state_.With([&](const State& state) {
      const bool proven_before =
          state.health.ok() && state.key->id == found->id && Clock::now() < state.proven_until;
      return proven_before ? state.key : nullptr;
    });
    if (proven != nullptr && found->attributes_verified) {
      FinishCheck(std::move(proven));
    } else {
      Prove(found->id, deadline);
    }
  });
}

void KeyManager::Prove(const std::string& key_id, Deadline deadline) {
  WipedBytes random(kProbeSize);
  if (RAND_bytes(random.data(), kProbeSize) != 1) {
    FinishCheck(absl::InternalError(absl::StrCat("no random bytes: ", OpenSslErrors())));
    return;
  }
  Secret probe(std::move(random));
  Secret sent(probe.Reveal());
  backend_->Encrypt(
      key_id, std::move(sent), deadline,
      [this, key_id, deadline,
       probe = std::move(probe)](absl::StatusOr<Ciphertext> result) mutable {
        absl::Status status = result.ok() ? CheckEncrypted(*result) : result.status();
        if (!status.ok()) {
          FinishCheck(Annotate(status, "test encryption"));
          return;
        }
        backend_->Decrypt(
            key_id, *std::move(result), deadline,
            [this, key_id, probe = std::move(probe)](absl::StatusOr<Secret> back) {
              if (!back.ok()) {
                FinishCheck(Annotate(back.status(), "test decryption"));
              } else if (!back->Equals(probe)) {
                FinishCheck(absl::DataLossError(
                    "the KMS decrypted its own ciphertext to something else; nothing is encrypted "
                    "with this key"));
              } else {
                FinishCheck(std::make_shared<const Key>(Key{key_id}));
              }
            });
      });
}

void KeyManager::FinishCheck(absl::StatusOr<KeyPtr> result) {
  std::vector<Done<KeyPtr>> waiters;
  KeyPtr before;
  absl::Status health_before;
  state_.With([&](State& state) {
    before = state.key;
    health_before = state.health;
    state.checking = false;
    state.health = result.status();
    if (result.ok()) {
      // What was not proven again is the very object that was there.
      if (state.key != *result) state.proven_until = Clock::now() + kProofLasts;
      state.key = *result;
      state.failing_since.reset();
      state.failures = 0;
      state.next_check = Clock::now() + kHealthyInterval;
    } else {
      // Silence and refusal are told apart: each has its own time.
      if (!state.failing_since || IsSilence(result.status()) != IsSilence(health_before)) {
        state.failing_since = Clock::now();
      }
      ++state.failures;
      state.next_check = Clock::now() + RetryAfter(state.failures);
    }
    waiters.swap(state.waiters);
  });
  // One line a change, not one a check; none when the plugin stops.
  if (!result.ok()) {
    const bool changed = result.status().code() != health_before.code() ||
                         result.status().message() != health_before.message();
    if (changed && !absl::IsCancelled(result.status())) {
      log_.Error(absl::StrCat("not ready: ", Describe(result.status())));
    }
  } else if (before == nullptr || before->id != (*result)->id) {
    log_.Notice(absl::StrCat("ready: key ", Printable((*result)->id), " encrypts and decrypts",
                             before == nullptr ? "" : "; it replaces key ",
                             before == nullptr ? "" : Printable(before->id)));
  } else if (!health_before.ok()) {
    log_.Notice(absl::StrCat("ready again: key ", Printable((*result)->id)));
  }
  for (Done<KeyPtr>& waiter : waiters) waiter(result);
}

}  // namespace okms
