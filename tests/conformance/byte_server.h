// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A gRPC server on a unix socket that leaves everything to whoever made it: methods, bytes, and
// what becomes of a connection.

#ifndef OKMS_TESTS_CONFORMANCE_BYTE_SERVER_H_
#define OKMS_TESTS_CONFORMANCE_BYTE_SERVER_H_

#include <chrono>
#include <functional>
#include <string>

#include "absl/status/statusor.h"

namespace okms::test {

struct ByteCall {
  std::string method;     // "/v2.KeyManagementService/Status"
  std::string authority;  // what the client calls us
  std::string message;
  std::chrono::milliseconds left;      // until its deadline; max: there is none
  std::function<bool()> is_cancelled;  // by now
};

struct ByteService {
  // Each call in a thread of its own.
  std::function<absl::StatusOr<std::string>(const ByteCall&)> answer;
  // What is done with each connection before gRPC has it: in the thread that accepts them all.
  // False: it is closed.
  std::function<bool(int fd)> admit = [](int) { return true; };
};

// Serves until the process ends.
[[noreturn]] void Serve(const std::string& socket, bool replace, const ByteService& service);

}  // namespace okms::test

#endif  // OKMS_TESTS_CONFORMANCE_BYTE_SERVER_H_
