// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What libcurl says of a transfer that failed, in our terms.

#ifndef OKMS_HTTP_CURL_ERROR_H_
#define OKMS_HTTP_CURL_ERROR_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "http/libcurl.h"
#include "net/host_port.h"

namespace okms::http {

// `error` is what libcurl wrote to the error buffer, `server` who the request was for. What differs
// from one failure to the next is a detail of the status. Errors: those of HttpClient::Send.
absl::Status TransferError(CURL* easy, CURLcode code, absl::string_view error,
                           const HostPort& server);

}  // namespace okms::http

#endif  // OKMS_HTTP_CURL_ERROR_H_
