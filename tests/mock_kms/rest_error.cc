// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "mock_kms/rest_error.h"

#include <cstdint>

#include <nlohmann/json.hpp>

#include "absl/strings/string_view.h"
#include "mock_kms/random.h"

namespace okms::test {
namespace {

constexpr uint32_t kRestSystem = 3;
constexpr uint32_t kServiceKeysComponent = 3;

struct Category {
  absl::string_view id;
  uint32_t number;
};

Category CategoryOf(int status) {
  switch (status) {
    case 401: return {"Authentication", 3};
    case 403: return {"Authorization", 4};
    case 404: return {"NotFound", 5};
    case 409: return {"Conflict", 10};
    case 429: return {"TooManyRequests", 9};
    case 502:
    case 503:
    case 504: return {"Unavailable", 7};
    default: return status >= 500 ? Category{"Internal", 1} : Category{"BadArgument", 8};
  }
}

}  // namespace

RestResponse RestError(int status, const std::vector<std::string>& errors) {
  const Category category = CategoryOf(status);
  constexpr uint32_t kApplicationCode = 1;
  const uint32_t code =
      kRestSystem << 24 | kServiceKeysComponent << 16 | category.number << 12 | kApplicationCode;
  const nlohmann::ordered_json body{{"error_id", std::string(category.id)},
                                    {"error_code", static_cast<int32_t>(code)},
                                    {"errors", errors},
                                    {"request_id", RandomUuid()}};
  // An error may quote what is no UTF-8.
  return {.status = status,
          .content_type = "application/json",
          .body = body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)};
}

}  // namespace okms::test
