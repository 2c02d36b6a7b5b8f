// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// One gRPC call in hand-written HTTP/2 (RFC 9113), for requests that gRPC's client would not send.

#ifndef OKMS_TESTS_INTEGRATION_HTTP2_H_
#define OKMS_TESTS_INTEGRATION_HTTP2_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace okms::test {

// All that a client sends: the preface, its settings, and the call on stream 1. Without `authority`
// there is no such header.
std::string Http2Call(absl::string_view method, const std::optional<std::string>& authority,
                      absl::string_view message);

// Whether the server has ended stream 1, or the connection, in what it sent.
bool Http2Ended(const std::string& heard);

// The gRPC message on stream 1; nullopt when there is none.
std::optional<std::string> Http2Message(const std::string& heard);

}  // namespace okms::test

#endif  // OKMS_TESTS_INTEGRATION_HTTP2_H_
