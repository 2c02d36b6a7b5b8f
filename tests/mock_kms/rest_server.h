// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The HTTP side of the OKMS mock: cpp-httplib over mutual TLS, so that what parses the plugin's
// requests was written by others. HTTP/1.1 only.

#ifndef OKMS_TESTS_MOCK_KMS_REST_SERVER_H_
#define OKMS_TESTS_MOCK_KMS_REST_SERVER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <thread>

#include "absl/status/statusor.h"
#include "mock_kms/open_connections.h"
#include "mock_kms/rest_message.h"
#include "mock_kms/server_tls.h"

namespace httplib {
class SSLServer;
}

namespace okms::test {

// How the answer leaves.
enum class Delivery {
  kWhole,
  kHalf,    // half of the body, then the connection is closed
  kClosed,  // the connection is closed instead
  kNever,   // nothing until the client or the server ends the connection
};

struct RestReply {
  RestResponse response = {};
  Delivery delivery = Delivery::kWhole;
};

// Listens on one IPv4 address, one thread a connection.
class RestServer {
 public:
  // Called by many threads at once.
  using Handler = std::function<RestReply(RestRequest)>;

  // Port 0: any free one. Errors: kFailedPrecondition.
  static absl::StatusOr<std::unique_ptr<RestServer>> Start(const std::string& address,
                                                           uint16_t port, ServerTlsFiles files,
                                                           Handler handler);
  // Ends all connections and waits for their threads, whatever these wait for; but not for one that
  // is in the handler.
  ~RestServer();

  uint16_t port() const { return port_; }
  OpenConnections& connections() { return connections_; }

 private:
  explicit RestServer(Handler handler);

  OpenConnections connections_;  // before, that is freed after, what it watches
  const Handler handler_;
  std::unique_ptr<httplib::SSLServer> http_;
  uint16_t port_ = 0;
  std::thread acceptor_;
};

}  // namespace okms::test

#endif  // OKMS_TESTS_MOCK_KMS_REST_SERVER_H_
