// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// HTTP requests and answers as the OKMS mock sees them: no sockets, no HTTP library.

#ifndef OKMS_TESTS_MOCK_KMS_REST_MESSAGE_H_
#define OKMS_TESTS_MOCK_KMS_REST_MESSAGE_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

namespace okms::test {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct RestRequest {
  std::string method;
  std::string target;   // as it came: percent-encoded, with the query
  std::string version;  // "HTTP/1.1"
  HttpHeaders headers = {};
  std::string body = {};

  // Empty when there is none.
  std::string Header(absl::string_view name) const {
    for (const auto& [each, value] : headers) {
      if (absl::EqualsIgnoreCase(each, name)) return value;
    }
    return "";
  }
};

struct RestResponse {
  int status = 200;
  std::string content_type = {};  // no such header when empty
  std::string body = {};
  HttpHeaders headers = {};
};

}  // namespace okms::test

#endif  // OKMS_TESTS_MOCK_KMS_REST_MESSAGE_H_
