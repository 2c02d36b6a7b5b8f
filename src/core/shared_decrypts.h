// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// One question to the KMS for all who ask the same at the same time.

#ifndef OKMS_CORE_SHARED_DECRYPTS_H_
#define OKMS_CORE_SHARED_DECRYPTS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/counter.h"
#include "base/guarded.h"
#include "core/backend.h"

namespace okms {

// kube-apiserver wraps everything that it writes under one seed, and asks for that seed once for
// each object that it reads before it has the first answer: when it starts, a herd of Decrypts of
// the very same bytes. Of those that are under way by kDecrypts, one asks, and who comes later
// waits for that answer; each gets a copy. All other calls pass.
//
// There is no timer here: who waits for another's answer waits until that one's deadline. So one
// joins only a question whose deadline is not after its own; and one that still has half of its own
// time, so that no call spends most of it on a question that is about to be given up. When a
// deadline ends the question, those who have time left ask anew by the same rule. So no call waits
// beyond its deadline, or fails for want of time before it (but for kTooShort); and since each
// question is somebody's last, there are never more of them than calls. Every other error is
// everybody's.
//
// What waits is bounded by kMostCalls for each request to the backend.
class SharedDecrypts : public Backend {
 public:
  static constexpr std::size_t kMostCalls = 256;
  // Who has less time left when a question has run out of it asks no more: no KMS would answer.
  static constexpr std::chrono::milliseconds kTooShort{10};

  // `now` is for tests.
  explicit SharedDecrypts(std::unique_ptr<Backend> backend,
                          std::function<Deadline()> now = Clock::now)
      : now_(std::move(now)), backend_(std::move(backend)) {}

  void Locate(const std::string& label, NextDeadline deadline, Done<Located> done) override;
  void Inspect(const std::string& key_id, Deadline deadline, Done<KeyInfo> done) override;
  void Encrypt(Way way, const std::string& key_id, Secret plaintext, Deadline deadline,
               Done<Ciphertext> done) override;
  void Decrypt(Way way, const std::string& key_id, Ciphertext ciphertext, Deadline deadline,
               Done<Secret> done) override;

  // How many waited for another one's answer.
  uint64_t joined() const { return joined_.value(); }

 private:
  struct Question {
    std::string key_id;
    Ciphertext ciphertext;
    bool operator<(const Question& other) const {
      const auto all = [](const Question& question) {
        return std::tie(question.ciphertext.bytes, question.key_id,
                        question.ciphertext.annotations);
      };
      return all(*this) < all(other);
    }
  };
  struct Call {
    Deadline deadline;
    Done<Secret> done;
  };
  // The questions under way, each with those who wait for its answer: first the one that asked. The
  // same is asked twice at a time when the deadlines do not fit.
  using Questions = std::multimap<Question, std::vector<Call>>;

  void Ask(Question question, Call call);
  void Answer(Questions::iterator asked, absl::StatusOr<Secret> answer);

  const std::function<Deadline()> now_;
  Guarded<Questions> questions_;
  Counter joined_;
  const std::unique_ptr<Backend> backend_;  // last: its threads call back into all above
};

}  // namespace okms

#endif  // OKMS_CORE_SHARED_DECRYPTS_H_
