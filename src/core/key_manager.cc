// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A check is a chain: the adopted key (or the configured one) by CheckKey; then, if the key is
// named by its label, FindByLabel; and CheckKey of the key that the name leads to if it is another
// one. Each link
// tells the state what it saw, under the lock and without calling out, and the next one begins.
//
// A check that is cancelled (the backend is being destroyed) has seen nothing.

#include "core/key_manager.h"

#include <openssl/rand.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/debug.h"
#include "base/status.h"
#include "core/key_id_hash.h"
#include "core/limits.h"
#include "core/round_trip.h"

namespace okms {
namespace {

using std::chrono::milliseconds;
using About = CheckSchedule::About;

// How often the main loop looks after what nothing else wakes it for.
constexpr milliseconds kLook{1'000};
constexpr milliseconds kLookBeforeTheFirstVerdict{50};  // somebody may wait for it

// What a check saw, for --debug.
void TellSeen(absl::string_view which, const std::string& key_id, const KeyReport& report) {
  Debug([&] {
    return absl::StrCat("check: ", which, " ", Printable(key_id), ": ",
                        !report.status.ok() ? Message(report.status)
                        : report.proven     ? "a round trip went well"
                                            : "it is active");
  });
}

}  // namespace

KeyManager::KeyManager(std::unique_ptr<Backend> backend, const Logger& log, KeyPolicy policy,
                       std::function<Deadline()> now)
    : log_(log), now_(std::move(now)), state_(std::move(policy)), backend_(std::move(backend)) {}

// ---- Calls

void KeyManager::Status(Deadline deadline, Done<std::string> done) {
  std::optional<absl::StatusOr<std::string>> answer;
  state_.With([&](State& state) {
    if (state.key.decided() || state.stopping) {
      answer = state.key.Answer(now_());
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
  const auto [adopted, misfit] = state_.With(
      [](const State& state) { return std::pair(state.key.adopted(), state.key.misfit()); });
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
      *backend_, Way::kEncrypts, Way::kChecks, key_id, std::move(plaintext),
      [deadline] { return deadline; },
      [this, key_id, began = now_(),
       done = std::move(done)](absl::StatusOr<Ciphertext> result) mutable {
        const bool news = state_.With([&](State& state) {
          return state.key.Encrypted(key_id, result.status(), began, now_()) ||
                 (result.ok() && state.log.unwell());
        });
        if (news) Advance();
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
  backend_->Decrypt(Way::kDecrypts, key_id, std::move(ciphertext), deadline,
                    [this, key_id, began = now_(),
                     done = std::move(done)](absl::StatusOr<Secret> result) mutable {
                      const bool news = state_.With([&](State& state) {
                        if (result.ok() && key_id != state.key.adopted()) CountOther(state, key_id);
                        return state.key.Decrypted(key_id, result.status(), began, now_()) ||
                               (result.ok() && state.log.unwell());
                      });
                      if (news) Advance();
                      done(std::move(result));
                    });
}

void KeyManager::CountOther(State& state, const std::string& key_id) {
  const std::string& in_use = state.key.adopted();
  if (in_use.empty() || !state.others.Count(key_id, in_use)) return;
  log_.Write({Severity::kNotice, EventName::kOtherKeyUsed,
              absl::StrCat("a record of key ", Printable(key_id),
                           " was decrypted: it is still needed beside key ", Printable(in_use)),
              KeyIdHash(key_id)});
}

// ---- Checks

NextDeadline KeyManager::OperationsOf(Ticket check, CheckSchedule::About about) {
  return [this, check, about, answered = false]() mutable {
    return state_.With([&](State& state) {
      const Deadline now = now_();
      // The chain goes on after a success only.
      if (std::exchange(answered, true)) state.key.Answered(now);
      return state.key.schedule().Ask(check, about, now);
    });
  };
}

void KeyManager::StartCheck(Ticket check) {
  const std::string key_id = state_.With([](const State& state) { return state.key.InUse(); });
  if (key_id.empty()) {
    GoOnToName(check, {}, Outcome::kGood);
  } else {
    CheckInUse(check, key_id);
  }
}

void KeyManager::CheckInUse(Ticket check, const std::string& key_id) {
  const bool must_prove =
      state_.With([&](const State& state) { return state.key.MustProve(*check, now_()); });
  CheckKey(*backend_, key_id, {}, must_prove, OperationsOf(check, About::kKey),
           [this, check, key_id](KeyReport report) {
             TellSeen("key", key_id, report);
             const Outcome outcome = state_.With(
                 [&](State& state) { return state.key.SawKey(*check, key_id, report, now_()); });
             if ((Unanswered(report.status) && !report.info) || absl::IsCancelled(report.status)) {
               EndCheck(check, outcome);
               return;
             }
             KnownKeys known;
             if (report.info) known.emplace(key_id, *std::move(report.info));
             GoOnToName(check, std::move(known), outcome);
           });
}

void KeyManager::GoOnToName(Ticket check, KnownKeys known, Outcome so_far) {
  const std::optional<KeyName> name =
      state_.With([&](State& state) { return state.key.NextName(*check, now_()); });
  if (!name) {
    EndCheck(check, so_far);
  } else if (const auto* const label = std::get_if<KeyLabel>(&*name)) {
    Search(check, label->value, std::move(known), so_far);
  } else {
    CheckCandidate(check, std::get<KeyId>(*name).value, std::nullopt, so_far);
  }
}

void KeyManager::Search(Ticket check, const std::string& label, KnownKeys known, Outcome so_far) {
  FindByLabel(*backend_, label, std::move(known), OperationsOf(check, About::kName),
              [this, check, so_far](LabelAnswer answer) {
                const absl::StatusOr<LabelledKey>& key = answer.key;
                Debug([&] {
                  return absl::StrCat("check: the label leads to ",
                                      key.ok() ? absl::StrCat("key ", Printable(key->id))
                                               : absl::StrCat("nothing: ", Message(key.status())));
                });
                const bool other = key.ok() && state_.With([&](const State& state) {
                  return state.key.adopted() != key->id;
                });
                if (other) {
                  CheckCandidate(check, key->id, key->info, so_far);
                  return;
                }
                EndCheck(check, state_.With([&](State& state) {
                  return state.key.SawName(*check, answer, so_far, now_());
                }));
              });
}

void KeyManager::CheckCandidate(Ticket check, const std::string& key_id,
                                std::optional<KeyInfo> known, Outcome so_far) {
  state_.With([&](State& state) { state.key.SawLead(*check, key_id, now_()); });
  Advance();  // it is said before it is proven
  CheckKey(*backend_, key_id, std::move(known), /*must_prove=*/true,
           OperationsOf(check, About::kName),
           [this, check, key_id, so_far](const KeyReport& report) {
             TellSeen("candidate", key_id, report);
             EndCheck(check, state_.With([&](State& state) {
               return state.key.SawCandidate(*check, key_id, report, so_far, now_());
             }));
           });
}

void KeyManager::EndCheck(Ticket check, Outcome outcome) {
  uint8_t jitter = 0;
  if (RAND_bytes(&jitter, 1) != 1) jitter = 0;
  Debug([outcome]() -> std::string {
    switch (outcome) {
      case Outcome::kGood: return "check: ended, all is well";
      case Outcome::kUndecided: return "check: ended, undecided";
      case Outcome::kBad: break;
    }
    return "check: ended, something is wrong";
  });
  state_.With([&](State& state) {
    const Deadline now = now_();
    state.key.schedule().End(check, outcome, now, jitter);
    Count(state, outcome, now);
  });
  Advance();
}

void KeyManager::Count(State& state, Outcome outcome, Deadline now) {
  KeyStats& stats = state.stats;
  switch (outcome) {
    case Outcome::kGood:
      ++stats.good;
      stats.last_good = now;
      break;
    case Outcome::kUndecided: ++stats.undecided; break;
    case Outcome::kBad: ++stats.bad; break;
  }
}

// ---- What is known, and what is due

Health KeyManager::Current() const {
  return state_.With([this](const State& state) {
    Health health = state.key.HealthAt(now_());
    health.others = state.others.counts().Summary(state.key.adopted());
    return health;
  });
}

OtherKeys::Counts KeyManager::OtherDecrypts() const {
  return state_.With([](const State& state) { return state.others.counts(); });
}

void KeyManager::CheckSoon() {
  state_.With([](State& state) { state.key.schedule().Suspect(CheckSchedule::Why::kAnswer); });
  Advance();
}

void KeyManager::SetName(KeyId name) {
  state_.With([&](State& state) {
    state.key.SetName(std::move(name), now_());
    state.log.NameWasGiven();
  });
  Advance();
}

KeyStats KeyManager::Stats() const {
  return state_.With([](const State& state) {
    KeyStats stats = state.stats;
    stats.last_answer = state.key.answered();
    stats.candidates = state.key.candidates();
    stats.adoptions = state.key.adoptions();
    return stats;
  });
}

Deadline KeyManager::CheckDeadline() const {
  return state_.With([](const State& state) { return state.key.schedule().AnswerBy(); });
}

void KeyManager::Stop() {
  state_.With([](State& state) { state.stopping = true; });
  Advance();
}

Deadline KeyManager::Tick() {
  Advance();
  return state_.With([this](const State& state) {
    const Deadline now = now_();
    const milliseconds look = state.key.decided() ? kLook : kLookBeforeTheFirstVerdict;
    return std::min(now + look, std::max(now, state.key.schedule().Next()));
  });
}

void KeyManager::Advance() {
  std::vector<Waiter> answered;
  std::optional<absl::StatusOr<std::string>> answer;
  std::optional<Ticket> check;
  state_.With([&](State& state) {
    const Deadline now = now_();
    if (!state.stopping) check = state.key.schedule().Begin(now);
    const auto waits = std::stable_partition(
        state.waiters.begin(), state.waiters.end(), [&](const Waiter& waiter) {
          return !state.key.decided() && !state.stopping &&
                 waiter.deadline - now > kLookBeforeTheFirstVerdict;
        });
    std::move(waits, state.waiters.end(), std::back_inserter(answered));
    state.waiters.erase(waits, state.waiters.end());
    if (!answered.empty()) answer = state.key.Answer(now);
    if (!state.key.decided()) return;
    // Under the lock, so that lines come in the order of what they say.
    for (const Event& event : state.log.Changes(state.key.HealthAt(now), now)) log_.Write(event);
  });
  for (Waiter& waiter : answered) waiter.done(*answer);
  if (check) StartCheck(*check);
}

}  // namespace okms
