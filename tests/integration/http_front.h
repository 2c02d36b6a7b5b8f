// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// nginx in front of the OKMS mock, which speaks HTTP/1.1 only: as the real service does, it offers
// HTTP/2 (by ALPN), or HTTP/1.1 as others have written it.

#ifndef OKMS_TESTS_INTEGRATION_HTTP_FRONT_H_
#define OKMS_TESTS_INTEGRATION_HTTP_FRONT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "integration/child_process.h"
#include "support/require.h"
#include "support/temp_dir.h"
#include "support/test_pki.h"

namespace okms::test {

struct HttpFrontOptions {
  uint16_t upstream_port;  // of the mock
  std::string ca;          // of every certificate here
  KeyPairFiles server;     // towards the client; its names hold 127.0.0.1 or localhost
  KeyPairFiles client;     // towards the mock, whose certificate must be for localhost
  bool http2 = true;       // else HTTP/1.1 only
};

// Passes requests on as they are, and adds "X-Front-Protocol: HTTP/2.0" (or HTTP/1.1) and
// "X-Front-Connection: N", the number of the client's connection, for the mock's record. Killed at
// the latest by the destructor.
class HttpFront {
 public:
  // Whether this machine has nginx.
  static bool Available();

  // Returns when nginx accepts connections. Errors: kNotFound without nginx, kUnavailable.
  static absl::StatusOr<std::unique_ptr<HttpFront>> Start(const HttpFrontOptions& options);

  uint16_t port() const { return port_; }
  std::string url() const;  // "https://127.0.0.1:PORT"

  // Until Resume it neither accepts nor answers; its connections stay.
  void Pause() const;
  void Resume() const;

  // nginx's own log.
  std::string Log() const { return nginx_->Err(); }

 private:
  HttpFront(std::unique_ptr<TempDir> folder, std::unique_ptr<ChildProcess> nginx, uint16_t port)
      : folder_(std::move(folder)), nginx_(std::move(nginx)), port_(port) {}

  const std::unique_ptr<TempDir> folder_;
  const std::unique_ptr<ChildProcess> nginx_;  // after its folder, so that it ends before that
  const uint16_t port_;
};

// First in a test, or in SetUp.
#define OKMS_REQUIRE_NGINX()                                 \
  OKMS_REQUIRE_OR_SKIP(::okms::test::HttpFront::Available(), \
                       "no nginx: apt-get install nginx-light")

}  // namespace okms::test

#endif  // OKMS_TESTS_INTEGRATION_HTTP_FRONT_H_
