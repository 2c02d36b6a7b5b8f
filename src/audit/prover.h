// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A rehearsal of the day on which all depends on it: has each different seed of the live values of
// KMS v2 unwrapped, once, as a kube-apiserver that starts does.

#ifndef OKMS_AUDIT_PROVER_H_
#define OKMS_AUDIT_PROVER_H_

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "audit/proof.h"
#include "audit/survey.h"
#include "base/deadline.h"
#include "base/secret.h"

namespace okms::audit {

// What Decrypt takes.
struct Wrapped {
  std::string ciphertext;
  std::string key_id;
  std::map<std::string, std::string> annotations;
};

// What came of it: a refusal, or the bytes.
struct Unwrapped {
  absl::Status refusal;
  Secret bytes;
};

// Called by several threads at once; blocks for some seconds at the longest. An error: nobody could
// be asked, nor will anybody be.
using Unwrap = absl::AnyInvocable<absl::StatusOr<Unwrapped>(const Wrapped&) const>;

class Prover : public Observer {
 public:
  static constexpr std::size_t kAtOnce = 4;  // a plugin in service has others to answer

  // `rate`: calls a second, at the most. `provider`: of encryption-provider-config; empty: all.
  Prover(Unwrap unwrap, double rate, std::string provider);
  ~Prover() override;
  Prover(const Prover&) = delete;
  Prover& operator=(const Prover&) = delete;

  // What was proven stays so, and counts where something still needs it. Waits for the calls under
  // way.
  void Begin(const Extent& extent) override;
  // Blocks while as many calls are under way as may be. Of the value it keeps a digest, once it is
  // proven.
  void See(const StoredValue& value, const Envelope& envelope) override;

  // The error after which no more is asked.
  absl::Status Stopped() const;
  // Waits for the calls under way. Errors: as above; kUnavailable also where no call was answered.
  absl::StatusOr<Proof> Finish();

 private:
  static constexpr std::size_t kNobody = ~std::size_t{0};
  struct Seed {
    std::string key_id;
    std::uint64_t objects = 0;
    std::size_t refusal = kNobody;  // in refused_
  };
  struct Task {
    Digest seed;
    DekSource source;
    Wrapped wrapped;
    std::string object;
  };

  void Work();
  // Until the next call may begin; whether one may.
  bool Pace(std::unique_lock<std::mutex>& lock);
  void Note(const Task& task, const absl::Status& verdict, Clock::duration took);
  // Counts those who were not answered, one after the other.
  void NoteSilence(const absl::Status& verdict);
  static void AddName(Refusal& refusal, const std::string& object);

  const Unwrap unwrap_;
  const Clock::duration between_;
  const std::string provider_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  absl::flat_hash_map<Digest, Seed> seeds_;
  std::deque<Task> tasks_;
  std::size_t pending_ = 0;  // waiting and under way
  Deadline next_;
  bool over_ = false;
  absl::Status stopped_;
  std::map<std::pair<std::string, std::string>, std::size_t> reasons_;  // key id, code
  std::vector<Refusal> refused_;
  std::vector<Clock::duration> took_;

  std::size_t silent_ = 0;  // since the last answer
  bool answered_ = false;   // ever
  absl::Status silence_;    // the last one

  std::vector<std::thread> workers_;
};

}  // namespace okms::audit

#endif  // OKMS_AUDIT_PROVER_H_
