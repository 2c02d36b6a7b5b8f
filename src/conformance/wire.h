// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Bytes on a connection to the plugin that are no call of a client library's.

#ifndef OKMS_CONFORMANCE_WIRE_H_
#define OKMS_CONFORMANCE_WIRE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace okms::conformance {

// A connection on which these bytes were sent, as many of them as were taken at once.
absl::StatusOr<UniqueFd> ConnectAndSend(const std::string& socket, absl::string_view bytes);

// What a client of HTTP/2 says first, and the beginning of a frame of which the rest never comes.
std::string Http2Beginning();

// A field that no message of KMS v2 has, for the end of one.
std::string UnknownField();

}  // namespace okms::conformance

#endif  // OKMS_CONFORMANCE_WIRE_H_
