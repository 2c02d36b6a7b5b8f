// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Waits for the answer of an asynchronous call.

#ifndef OKMS_TESTS_UNIT_AWAIT_H_
#define OKMS_TESTS_UNIT_AWAIT_H_

#include <future>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"

namespace okms::test {

// An answer that comes on another thread.
template <typename T>
class Answer {
 public:
  // The callback to hand over; call it once.
  auto Callback() {
    return
        [promise = promise_](absl::StatusOr<T> result) { promise->set_value(std::move(result)); };
  }
  absl::StatusOr<T> Get() { return future_.get(); }

 private:
  // Shared: the thread that answers may still be in set_value when we already go.
  std::shared_ptr<std::promise<absl::StatusOr<T>>> promise_ =
      std::make_shared<std::promise<absl::StatusOr<T>>>();
  std::future<absl::StatusOr<T>> future_ = promise_->get_future();
};

// What `start`, called with a callback, is answered.
template <typename T, typename Start>
absl::StatusOr<T> Await(Start&& start) {
  Answer<T> answer;
  start(answer.Callback());
  return answer.Get();
}

}  // namespace okms::test

#endif  // OKMS_TESTS_UNIT_AWAIT_H_
