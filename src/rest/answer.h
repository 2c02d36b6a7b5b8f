// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// From an HTTP answer of the OKMS API to its JSON, or to one line that says what is wrong.

#ifndef OKMS_REST_ANSWER_H_
#define OKMS_REST_ANSWER_H_

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/secret.h"
#include "http/http_client.h"

namespace okms::rest {

using Json = nlohmann::json;

// The JSON object of a 200. `call` names the call in errors ("encrypt"). Texts of an error answer
// that repeat a part of `sent` (the request's body) are left out of the message, for it may be a
// secret. Errors: kDataLoss (a 200 that is no JSON object); else by the status code: kNotFound
// (404), kUnauthenticated (401), kPermissionDenied (403), kUnavailable (429, 5xx), `bad_request`
// (400), kFailedPrecondition (501, redirects, and all else).
absl::StatusOr<Json> ParseAnswer(
    absl::string_view call, const http::HttpResponse& response, absl::string_view sent,
    absl::StatusCode bad_request = absl::StatusCode::kFailedPrecondition);

}  // namespace okms::rest

#endif  // OKMS_REST_ANSWER_H_
