// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// One gRPC call in hand-written HTTP/2 (RFC 9113), for requests that gRPC's client would not send.

#ifndef OKMS_TESTS_INTEGRATION_HTTP2_H_
#define OKMS_TESTS_INTEGRATION_HTTP2_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace okms::test {

// All that a client sends: the preface, its settings, and the call on stream 1. `method` is one of
// KMS v2, or a whole path. Without `authority` there is no such header.
std::string Http2Call(absl::string_view method, const std::optional<std::string>& authority,
                      absl::string_view message);

// What opens a connection; what follows once the server's settings have come; and the beginning of
// a call on that stream, or the whole of it.
std::string Http2Preface();
std::string Http2SettingsSeen();
std::string Http2Stream(absl::string_view method, const std::optional<std::string>& authority,
                        uint32_t stream, const std::optional<std::string>& message);

// Whether the server has ended stream 1, or the connection, in what it sent.
bool Http2Ended(const std::string& heard);

// The gRPC message on stream 1; nullopt when there is none.
std::optional<std::string> Http2Message(const std::string& heard);

}  // namespace okms::test

#endif  // OKMS_TESTS_INTEGRATION_HTTP2_H_
