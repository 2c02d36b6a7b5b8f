// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/prover.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace okms::audit {
namespace {

constexpr std::size_t kSeed = 32;       // bytes that kube-apiserver makes
constexpr std::size_t kShownKey = 300;  // as Tally has it
constexpr std::size_t kShownLine = 300;
// Each of those takes as long as a call may, so that the rest of a large store would take hours.
constexpr std::size_t kMostSilent = 2 * Prover::kAtOnce;

bool IsPlausible(DekSource source, std::size_t size) {
  if (source == DekSource::kHkdfSeed) return size == kSeed;
  return size == 16 || size == 24 || size == 32;
}

// What the plugin's answer is worth. The bytes end here.
absl::Status Judge(const Unwrapped& answer, DekSource source) {
  if (!answer.refusal.ok()) return answer.refusal;
  if (IsPlausible(source, answer.bytes.size())) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      "it is unwrapped to ", answer.bytes.size(), " bytes, and ",
      source == DekSource::kHkdfSeed ? "a seed has 32" : "an AES key has 16, 24 or 32"));
}

// Whether it tells nothing of the seed.
bool IsSilence(const absl::Status& verdict) {
  return absl::IsDeadlineExceeded(verdict) || absl::IsUnavailable(verdict);
}

absl::Status NothingIsDecrypted(const absl::Status& silence) {
  return absl::UnavailableError(absl::StrCat(
      "the plugin decrypts nothing now, so that nothing is proven: see okms-kms-ctl status (",
      absl::StatusCodeToString(silence.code()), ": ", Printable(silence.message(), kShownLine),
      ")"));
}

Wrapped WrappedOf(const Envelope& envelope) {
  Wrapped wrapped{std::string(envelope.encrypted_dek), std::string(envelope.key_id), {}};
  for (const auto& [name, value] : envelope.annotations) {
    wrapped.annotations.emplace(name, value);
  }
  return wrapped;
}

}  // namespace

Prover::Prover(Unwrap unwrap, double rate, std::string provider)
    : unwrap_(std::move(unwrap)),
      between_(
          std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(1 / rate))),
      provider_(std::move(provider)),
      next_(Clock::now()) {
  for (std::size_t i = 0; i < kAtOnce; ++i) workers_.emplace_back([this] { Work(); });
}

Prover::~Prover() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
    tasks_.clear();
  }
  changed_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void Prover::Begin(const Extent& /*extent*/) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return pending_ == 0; });
  for (auto& [digest, seed] : seeds_) seed.objects = 0;
  for (Refusal& refusal : refused_) refusal.first.clear();
}

void Prover::See(const StoredValue& value, const Envelope& envelope) {
  if (value.standing != Standing::kLive || envelope.kind != Kind::kKmsV2 || !envelope.seed) return;
  if (!provider_.empty() && envelope.name != provider_) return;
  const std::string object = Printable(value.key, kShownKey);

  std::unique_lock lock(mutex_);
  if (!stopped_.ok()) return;
  const auto [found, is_new] = seeds_.try_emplace(*envelope.seed);
  ++found->second.objects;
  if (!is_new) {
    if (found->second.refusal != kNobody) AddName(refused_[found->second.refusal], object);
    return;
  }
  changed_.wait(lock, [this] { return pending_ < kAtOnce || !stopped_.ok(); });
  if (!stopped_.ok()) return;
  found->second.key_id = std::string(envelope.key_id);
  ++pending_;
  tasks_.push_back({*envelope.seed, envelope.dek_source, WrappedOf(envelope), object});
  changed_.notify_all();
}

absl::Status Prover::Stopped() const {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

bool Prover::Pace(std::unique_lock<std::mutex>& lock) {
  const Deadline now = Clock::now();
  const Deadline mine = std::max(next_, now);
  next_ = mine + between_;
  changed_.wait_until(lock, mine, [&] { return over_ || !stopped_.ok() || Expired(mine); });
  return !over_ && stopped_.ok();
}

void Prover::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return over_ || !tasks_.empty(); });
    if (over_) return;
    const Task task = std::move(tasks_.front());
    tasks_.pop_front();
    if (Pace(lock)) {
      lock.unlock();
      const Clock::time_point begun = Clock::now();
      const absl::StatusOr<Unwrapped> answer = unwrap_(task.wrapped);
      const Clock::duration took = Clock::now() - begun;
      lock.lock();
      if (answer.ok()) {
        Note(task, Judge(*answer, task.source), took);
      } else if (stopped_.ok()) {
        stopped_ = answer.status();
      }
    }
    --pending_;
    changed_.notify_all();
  }
}

void Prover::Note(const Task& task, const absl::Status& verdict, Clock::duration took) {
  NoteSilence(verdict);
  if (verdict.ok()) {
    took_.push_back(took);
    return;
  }
  const std::string code = absl::StatusCodeToString(verdict.code());
  const auto [reason, is_new] = reasons_.try_emplace({task.wrapped.key_id, code}, refused_.size());
  if (is_new) {
    refused_.push_back(
        {task.wrapped.key_id, code, Printable(verdict.message(), kShownLine), 0, 0, {}});
  }
  Refusal& refusal = refused_[reason->second];
  AddName(refusal, task.object);
  seeds_[task.seed].refusal = reason->second;
}

void Prover::NoteSilence(const absl::Status& verdict) {
  if (!IsSilence(verdict)) {
    silent_ = 0;
    answered_ = true;
    return;
  }
  silence_ = verdict;
  if (++silent_ >= kMostSilent && stopped_.ok()) stopped_ = NothingIsDecrypted(silence_);
}

void Prover::AddName(Refusal& refusal, const std::string& object) {
  std::vector<std::string>& names = refusal.first;
  if (names.size() >= Tally::kMostNames) return;
  if (std::find(names.begin(), names.end(), object) == names.end()) names.push_back(object);
}

absl::StatusOr<Proof> Prover::Finish() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return pending_ == 0; });
  if (!stopped_.ok()) return stopped_;
  if (silent_ > 0 && !answered_) return NothingIsDecrypted(silence_);
  Proof proof{provider_, {}, refused_};
  for (const auto& [digest, seed] : seeds_) {
    if (seed.objects == 0) continue;  // it was replaced before the store was read again
    if (seed.refusal == kNobody) {
      ++proof.good[seed.key_id];
    } else {
      ++proof.refused[seed.refusal].seeds;
      proof.refused[seed.refusal].objects += seed.objects;
    }
  }
  std::erase_if(proof.refused, [](const Refusal& refusal) { return refusal.objects == 0; });
  // In an order that does not depend on who was first.
  std::sort(proof.refused.begin(), proof.refused.end(), [](const Refusal& a, const Refusal& b) {
    return std::tie(a.key_id, a.code) < std::tie(b.key_id, b.code);
  });
  if (!took_.empty()) {
    std::sort(took_.begin(), took_.end());
    proof.slowest = absl::FromChrono(took_.back());
    proof.median = absl::FromChrono(took_[took_.size() / 2]);
  }
  return proof;
}

}  // namespace okms::audit
