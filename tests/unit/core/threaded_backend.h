// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A KMS that answers on threads of its own.

#ifndef OKMS_TESTS_UNIT_CORE_THREADED_BACKEND_H_
#define OKMS_TESTS_UNIT_CORE_THREADED_BACKEND_H_

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/annotated_backend.h"

namespace okms::test {

// Decrypts alone. Its end waits for all answers.
class ThreadedBackend : public NoBackend {
 public:
  // What becomes of a record's bytes; asked under a lock.
  using Answer = std::function<absl::StatusOr<std::string>(const std::string& bytes)>;

  explicit ThreadedBackend(Answer answer)
      : NoBackend(absl::InternalError("not in this test")), answer_(std::move(answer)) {}
  ~ThreadedBackend() override {
    while (std::optional<std::thread> thread = Next()) thread->join();
  }

  void Decrypt(Way, const std::string&, Ciphertext ciphertext, Deadline,
               Done<Secret> done) override {
    const std::lock_guard lock(mutex_);
    threads_.emplace_back([answer = answer_(ciphertext.bytes), done = std::move(done)]() mutable {
      if (answer.ok()) {
        done(Secret(AsBytes(*answer)));
      } else {
        done(answer.status());
      }
    });
  }

 private:
  // Until there is none: the one before may have asked again.
  std::optional<std::thread> Next() {
    const std::lock_guard lock(mutex_);
    if (threads_.empty()) return std::nullopt;
    std::thread next = std::move(threads_.back());
    threads_.pop_back();
    return next;
  }

  const Answer answer_;
  std::mutex mutex_;  // guards what answer_ has, and:
  std::vector<std::thread> threads_;
};

}  // namespace okms::test

#endif  // OKMS_TESTS_UNIT_CORE_THREADED_BACKEND_H_
