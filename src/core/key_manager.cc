// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A check is a chain: the adopted key (or the configured one) by CheckKey; then, if the key is
// named by its label, FindByLabel, and CheckKey of what that led to if it is another key. Each link
// tells the state what it saw, under the lock and without calling out, and the next one begins.
//
// A check that is cancelled (the backend is being destroyed) has seen nothing.

#include "core/key_manager.h"

#include <openssl/rand.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "core/limits.h"
#include "core/round_trip.h"

namespace okms {
namespace {

using std::chrono::milliseconds;

// How long a round trip counts. Attributes do not tell that the right to Encrypt was withdrawn.
constexpr milliseconds kProofLasts{30'000};
// How often the main loop looks after what nothing else wakes it for.
constexpr milliseconds kLook{1'000};
constexpr milliseconds kLookBeforeTheFirstVerdict{50};  // somebody may wait for it

uint8_t Jitter() {
  uint8_t random = 0;
  return RAND_bytes(&random, 1) == 1 ? random : uint8_t{0};
}

// Our own queue is full, or the process ends; or the request is at fault.
bool TellsNothing(const absl::Status& status) {
  return absl::IsResourceExhausted(status) || absl::IsCancelled(status) ||
         absl::IsInvalidArgument(status);
}

// Whether there was no answer at all, not even one that makes no sense.
bool Unanswered(const absl::Status& status) {
  return IsSilence(status) && !absl::IsDataLoss(status);
}

}  // namespace

KeyManager::KeyManager(std::unique_ptr<Backend> backend, const Logger& log, KeyPolicy policy,
                       std::function<Deadline()> now)
    : log_(log),
      policy_(std::move(policy)),
      now_(std::move(now)),
      state_(policy_.operation_timeout, policy_.label_grace),
      backend_(std::move(backend)) {}

// ---- Calls

void KeyManager::Status(Deadline deadline, Done<std::string> done) {
  std::optional<absl::StatusOr<std::string>> answer;
  state_.With([&](State& state) {
    if (state.decided || state.stopping) {
      answer = Answer(state, now_());
    } else {
      state.waiters.push_back({deadline, std::move(done)});
    }
  });
  if (answer) done(*std::move(answer));
}

void KeyManager::Encrypt(Secret plaintext, Deadline deadline, Done<Encrypted> done) {
  if (absl::Status status = CheckPlaintext(plaintext.size()); !status.ok()) {
    done(std::move(status));
    return;
  }
  const auto [adopted, misfit] = state_.With([](const State& state) {
    return std::pair(state.adoption.adopted(), state.health.misfit());
  });
  if (!misfit.ok()) {
    done(misfit);
  } else if (!adopted.empty()) {
    EncryptWith(adopted, std::move(plaintext), deadline, std::move(done));
  } else {
    Status(deadline, [this, plaintext = std::move(plaintext), deadline,
                      done = std::move(done)](absl::StatusOr<std::string> key_id) mutable {
      if (key_id.ok()) {
        EncryptWith(*key_id, std::move(plaintext), deadline, std::move(done));
      } else {
        done(std::move(key_id).status());
      }
    });
  }
}

void KeyManager::EncryptWith(const std::string& key_id, Secret plaintext, Deadline deadline,
                             Done<Encrypted> done) {
  RoundTrip(
      *backend_, Way::kCalls, key_id, std::move(plaintext), [deadline] { return deadline; },
      [this, key_id, began = now_(),
       done = std::move(done)](absl::StatusOr<Ciphertext> result) mutable {
        EncryptEnded(key_id, result.status(), began);
        if (result.ok()) {
          done(Encrypted{std::move(key_id), *std::move(result)});
        } else {
          done(std::move(result).status());
        }
      });
}

void KeyManager::Decrypt(const std::string& key_id, Ciphertext ciphertext, Deadline deadline,
                         Done<Secret> done) {
  if (absl::Status status = CheckDecryptRequest(key_id, ciphertext); !status.ok()) {
    done(std::move(status));
    return;
  }
  backend_->Decrypt(Way::kCalls, key_id, std::move(ciphertext), deadline,
                    [this, key_id, began = now_(),
                     done = std::move(done)](absl::StatusOr<Secret> result) mutable {
                      DecryptEnded(key_id, result.status(), began);
                      done(std::move(result));
                    });
}

void KeyManager::EncryptEnded(const std::string& key_id, const absl::Status& status,
                              Deadline began) {
  if (TellsNothing(status)) return;
  const bool advance = state_.With([&](State& state) {
    const Deadline now = now_();
    if (state.adoption.adopted() != key_id) return false;
    if (status.ok()) {
      state.health.Proven(began, now);
      state.proven_until = now + kProofLasts;
      return state.log.unwell();
    }
    if (absl::IsDataLoss(status)) {
      state.health.Misfit(status, now);
    } else {
      state.health.Failed(status, began, now);
    }
    state.schedule.Suspect();
    return true;
  });
  if (advance) Advance();
}

void KeyManager::DecryptEnded(const std::string& key_id, const absl::Status& status,
                              Deadline began) {
  if (TellsNothing(status)) return;
  const bool advance = state_.With([&](State& state) {
    if (status.ok()) {
      // Of the KMS; a key that no longer encrypts still decrypts.
      state.health.Answered(now_());
      return state.log.unwell();
    }
    // A refusal may be the record's fault, so it is no more than a reason to look.
    if (IsSilence(status)) {
      state.health.Failed(status, began, now_());
    } else if (state.adoption.adopted() != key_id) {
      return false;
    }
    state.schedule.Suspect();
    return true;
  });
  if (advance) Advance();
}

// ---- Checks

NextDeadline KeyManager::OperationsOf(Ticket check) {
  return [this, check, answered = false]() mutable {
    return state_.With([&](State& state) {
      const Deadline now = now_();
      // The chain goes on after a success only.
      if (std::exchange(answered, true)) state.health.Answered(now);
      return state.schedule.Ask(check, now);
    });
  };
}

void KeyManager::StartCheck(Ticket check) {
  const std::string adopted =
      state_.With([](const State& state) { return state.adoption.adopted(); });
  const auto* id = std::get_if<KeyId>(&policy_.name);
  if (id != nullptr || !adopted.empty()) {
    CheckInUse(check, adopted.empty() ? id->value : adopted);
  } else {
    Search(check, {}, Outcome::kGood);
  }
}

void KeyManager::CheckInUse(Ticket check, const std::string& key_id) {
  const bool must_prove = state_.With(
      [&](const State& state) { return check->must_prove || now_() >= state.proven_until; });
  CheckKey(*backend_, key_id, {}, must_prove, OperationsOf(check),
           [this, check, key_id](KeyReport report) {
             if (absl::IsNotFound(report.status) && std::holds_alternative<KeyId>(policy_.name)) {
               report.status = Annotate(report.status, "--encryption-key-id");
             }
             const Outcome outcome = Judge(check, key_id, report);
             if (std::holds_alternative<KeyId>(policy_.name) || Unanswered(report.status) ||
                 absl::IsCancelled(report.status)) {
               EndCheck(check, outcome);
               return;
             }
             KnownKeys known;
             if (report.info) known.emplace(key_id, *std::move(report.info));
             Search(check, std::move(known), outcome);
           });
}

KeyManager::Outcome KeyManager::Judge(Ticket check, const std::string& key_id,
                                      const KeyReport& report) {
  if (absl::IsCancelled(report.status)) return Outcome::kUndecided;
  const Outcome outcome = report.status.ok() ? Outcome::kGood : Outcome::kBad;
  state_.With([&](State& state) {
    const Deadline now = now_();
    const std::string& adopted = state.adoption.adopted();
    if (!adopted.empty() && adopted != key_id) return;  // replaced meanwhile
    if (report.status.ok()) {
      state.health.Proven(check->began, now);
      if (adopted.empty()) state.adoption.Proven(key_id, check->began, now);
      if (report.proven) state.proven_until = now + kProofLasts;
    } else if (absl::IsDataLoss(report.status) && report.info) {
      state.health.Misfit(report.status, now);
    } else if (state.health.Failed(report.status, check->asked, now)) {
      state.schedule.Suspect();
    }
    if (!report.status.ok() && !Unanswered(report.status)) state.proven_until = Deadline();
    state.decided = true;
  });
  return outcome;
}

void KeyManager::Search(Ticket check, KnownKeys known, Outcome so_far) {
  const std::string& label = std::get<KeyLabel>(policy_.name).value;
  FindByLabel(*backend_, label, std::move(known), OperationsOf(check),
              [this, check, so_far](absl::StatusOr<LabelledKey> found) {
                if (found.ok() && !IsInUse(found->id)) {
                  CheckCandidate(check, *std::move(found), so_far);
                } else {
                  EndCheck(check, JudgeName(check, found, so_far));
                }
              });
}

KeyManager::Outcome KeyManager::JudgeName(Ticket check, const absl::StatusOr<LabelledKey>& found,
                                          Outcome so_far) {
  if (absl::IsCancelled(found.status())) return Outcome::kUndecided;
  return state_.With([&](State& state) {
    const Deadline now = now_();
    const bool adopted = !state.adoption.adopted().empty();
    if (found.ok()) {
      if (IsLatest(state, *check)) state.adoption.Confirmed();
      state.name_unproven = !found->info.labels;
      return so_far;
    }
    state.decided = true;
    // Without an answer nothing is known of the name; of a key in use its own check has told.
    if (IsSilence(found.status())) {
      if (!adopted) state.health.Failed(found.status(), check->asked, now);
    } else {
      state.health.Answered(now);
      if (IsLatest(state, *check)) state.adoption.Astray(found.status(), now);
    }
    return adopted ? so_far : Outcome::kBad;
  });
}

void KeyManager::CheckCandidate(Ticket check, LabelledKey key, Outcome so_far) {
  const std::string id = key.id;
  KeyInfo info = key.info;
  CheckKey(*backend_, id, std::move(info), /*must_prove=*/true, OperationsOf(check),
           [this, check, key = std::move(key), so_far](const KeyReport& report) {
             EndCheck(check, JudgeCandidate(check, key, report, so_far));
           });
}

KeyManager::Outcome KeyManager::JudgeCandidate(Ticket check, const LabelledKey& key,
                                               const KeyReport& report, Outcome so_far) {
  if (absl::IsCancelled(report.status)) return Outcome::kUndecided;
  return state_.With([&](State& state) {
    const Deadline now = now_();
    const bool adopted = !state.adoption.adopted().empty();
    state.decided = true;
    if (report.status.ok()) {
      state.health.Answered(now);
      if (!IsLatest(state, *check)) return so_far;
      if (!state.adoption.Proven(key.id, check->began, now)) {
        return so_far == Outcome::kGood ? Outcome::kUndecided : so_far;
      }
      state.health = KeyHealth();
      state.health.Proven(check->began, now);
      state.proven_until = now + kProofLasts;
      state.name_unproven = !key.info.labels;
      return Outcome::kGood;
    }
    if (Unanswered(report.status)) {
      if (!adopted) state.health.Failed(report.status, check->asked, now);
    } else {
      state.health.Answered(now);
      if (IsLatest(state, *check)) state.adoption.Failed(key.id, report.status, now);
    }
    return adopted ? so_far : Outcome::kBad;
  });
}

void KeyManager::EndCheck(Ticket check, Outcome outcome) {
  const uint8_t jitter = Jitter();
  state_.With([&](State& state) { state.schedule.End(check, outcome, now_(), jitter); });
  Advance();
}

// Checks may end in another order than they began: what an older one saw of the name is no news.
bool KeyManager::IsLatest(State& state, const CheckSchedule::Check& check) {
  if (check.began < state.name_seen) return false;
  state.name_seen = check.began;
  return true;
}

bool KeyManager::IsInUse(const std::string& key_id) const {
  return state_.With([&](const State& state) { return state.adoption.adopted() == key_id; });
}

// ---- What is known

absl::StatusOr<std::string> KeyManager::Answer(const State& state, Deadline now) {
  const auto waiting = state.schedule.WaitingSince();
  if (state.adoption.adopted().empty()) {
    if (const auto trouble = state.health.TroubleAt(now, waiting)) return trouble->status;
    const auto note = state.adoption.Current();
    if (note && !note->wrong.ok()) return note->wrong;
    return absl::UnavailableError("no key has been verified yet");
  }
  OKMS_RETURN_IF_ERROR(state.health.At(now, waiting));
  OKMS_RETURN_IF_ERROR(state.adoption.At(now));
  return state.adoption.adopted();
}

Health KeyManager::HealthOf(const State& state, Deadline now) {
  const bool adopted = !state.adoption.adopted().empty();
  Health health{state.adoption.adopted(), Answer(state, now).status(),
                state.health.TroubleAt(now, state.schedule.WaitingSince()),
                state.adoption.Current(), state.name_unproven};
  // Without a key, what is wrong with its name is what is wrong.
  if (!adopted && !health.trouble && health.note && !health.note->wrong.ok()) {
    health.trouble = Trouble{health.note->wrong, health.note->since};
  }
  return health;
}

Health KeyManager::Current() const {
  return state_.With([this](const State& state) { return HealthOf(state, now_()); });
}

Deadline KeyManager::CheckDeadline() const {
  return state_.With([](const State& state) { return state.schedule.AnswerBy(); });
}

void KeyManager::Stop() {
  state_.With([](State& state) { state.stopping = true; });
  Advance();
}

Deadline KeyManager::Tick() {
  Advance();
  return state_.With([this](const State& state) {
    const Deadline now = now_();
    const milliseconds look = state.decided ? kLook : kLookBeforeTheFirstVerdict;
    return std::min(now + look, std::max(now, state.schedule.Next()));
  });
}

void KeyManager::Advance() {
  std::vector<Waiter> answered;
  std::optional<absl::StatusOr<std::string>> answer;
  std::optional<Ticket> check;
  std::vector<HealthLog::Line> lines;
  state_.With([&](State& state) {
    const Deadline now = now_();
    if (!state.stopping) check = state.schedule.Begin(now);
    answer = Answer(state, now);
    const auto waits = std::stable_partition(
        state.waiters.begin(), state.waiters.end(), [&](const Waiter& waiter) {
          return !state.decided && !state.stopping &&
                 waiter.deadline - now > kLookBeforeTheFirstVerdict;
        });
    std::move(waits, state.waiters.end(), std::back_inserter(answered));
    state.waiters.erase(waits, state.waiters.end());
    if (state.decided) lines = state.log.Changes(HealthOf(state, now));
  });
  for (const HealthLog::Line& line : lines) log_.Write(line.severity, line.text);
  for (Waiter& waiter : answered) waiter.done(*answer);
  if (check) StartCheck(*check);
}

}  // namespace okms
