// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// For who has nothing else to do: a call that does not block, waited for.

#ifndef OKMS_DOCTOR_WAIT_FOR_H_
#define OKMS_DOCTOR_WAIT_FOR_H_

#include <future>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "base/done.h"

namespace okms::doctor {

// `call` begins it, and it is answered by its own deadline. Not in the I/O loop's turn.
template <typename T, typename Call>
absl::StatusOr<T> WaitFor(Call&& call) {
  auto answer = std::make_shared<std::promise<absl::StatusOr<T>>>();
  std::future<absl::StatusOr<T>> answered = answer->get_future();
  call(Done<T>([answer](absl::StatusOr<T> result) { answer->set_value(std::move(result)); }));
  return answered.get();
}

}  // namespace okms::doctor

#endif  // OKMS_DOCTOR_WAIT_FOR_H_
