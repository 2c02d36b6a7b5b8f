// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Which of the calls of the OKMS Service Key API a request is.

#ifndef OKMS_TESTS_MOCK_KMS_REST_ROUTE_H_
#define OKMS_TESTS_MOCK_KMS_REST_ROUTE_H_

#include <map>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "mock_kms/rest_message.h"

namespace okms::test {

// The four that the mock serves, out of some fifteen.
enum class RestCall { kList, kGet, kEncrypt, kDecrypt };

absl::string_view ToString(RestCall call);

struct RestRoute {
  RestCall call;
  std::string okms_id;  // decoded, otherwise as it came
  std::string key_id;   // likewise; of all calls but kList
  std::map<std::string, std::string> query;
  bool query_is_sound = true;  // each parameter once, each escape sequence whole
};

// nullopt when the path is none of theirs. Says nothing about the method.
std::optional<RestRoute> RouteOf(absl::string_view target);

// The method of a call; the other ones are 405.
absl::string_view MethodOf(RestCall call);

// The call a request makes, if it makes one.
std::optional<RestCall> CallOf(const RestRequest& request);

}  // namespace okms::test

#endif  // OKMS_TESTS_MOCK_KMS_REST_ROUTE_H_
