// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Matchers for absl::Status and absl::StatusOr.

#ifndef OKMS_TESTS_SUPPORT_STATUS_IS_H_
#define OKMS_TESTS_SUPPORT_STATUS_IS_H_

#include <gmock/gmock.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace okms::test {

inline const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& status_or) {
  return status_or.status();
}

MATCHER(IsOk, "is OK") {
  *result_listener << "which is " << StatusOf(arg).ToString();
  return arg.ok();
}

// `message` is a text, or a matcher of one.
MATCHER_P2(StatusIs, code, message, "") {
  const absl::Status& status = StatusOf(arg);
  *result_listener << "which is " << status.ToString();
  return status.code() == code &&
         ::testing::ExplainMatchResult(message, std::string(status.message()), result_listener);
}

// `value` is a value, or a matcher of one.
MATCHER_P(IsOkAndHolds, value, "") {
  *result_listener << "which is " << arg.status().ToString();
  return arg.ok() && ::testing::ExplainMatchResult(value, *arg, result_listener);
}

}  // namespace okms::test

#endif  // OKMS_TESTS_SUPPORT_STATUS_IS_H_
