// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Ways in which the OKMS mock misbehaves.

#ifndef OKMS_TESTS_MOCK_KMS_REST_FAULT_H_
#define OKMS_TESTS_MOCK_KMS_REST_FAULT_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mock_kms/rest_route.h"

namespace okms::test {

enum class RestFaultKind {
  // Of the connection:
  kHang,      // no answer until the client or the server ends
  kClose,     // closed in place of an answer
  kTruncate,  // closed in the middle of the body
  // Another answer in place of the true one:
  kStatus,         // `status` with an ErrorResponse
  kRetryAfter,     // `status` (429 unless said) with Retry-After: `value`
  kPlainError,     // `status` with an HTML page, as a proxy answers
  kEcho,           // 400 whose errors repeat the body of the request
  kRedirect,       // 307 to `value`
  kNoContent,      // 204
  kEmpty,          // 200 without body and type
  kNotJson,        // 200 with an HTML page
  kBadJson,        // 200 with JSON that breaks off
  kWrongType,      // 200 with numbers where texts belong
  kNoField,        // 200 with {}
  kBigCiphertext,  // Encrypt: a ciphertext of 1,500 bytes
  // The true answer, spoiled:
  kOversize,    // with white space up to 2 MiB
  kGzip,        // compressed
  kOtherKey,    // about another key
  kWrongData,   // Decrypt: the right size, the wrong bytes
  kEndless,     // list: each page says there is one more
  kSameToken,   // list: likewise, always with the same token
  kEmptyToken,  // list: "" as the token of the last page
  kNullToken,   // list: null likewise
  kNoToken,     // list: none likewise
};

struct RestFault {
  RestFaultKind kind;
  int status = 0;                     // of kStatus, kRetryAfter, kPlainError
  std::string value = {};             // of kRetryAfter, kRedirect
  std::optional<RestCall> call = {};  // else every request
  int times = -1;                     // then no more; -1 always
};

// Takes "hang", "close:encrypt", "status=500:decrypt:2", "retry-after=2", "retry-after=503/2",
// "redirect=https://localhost:1/:get". After a redirect a number is part of the address unless a
// call stands before it. Errors: kInvalidArgument, which lists the kinds.
absl::StatusOr<RestFault> ParseRestFault(absl::string_view text);

}  // namespace okms::test

#endif  // OKMS_TESTS_MOCK_KMS_REST_FAULT_H_
