// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A KMIP server over mutual TLS with real AES-GCM, for tests, demonstrations and benchmarks. Its
// codec is the product's, so it proves nothing about the protocol by itself.

#ifndef OKMS_TESTS_MOCK_KMS_MOCK_KMS_H_
#define OKMS_TESTS_MOCK_KMS_MOCK_KMS_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "mock_kms/clients.h"
#include "mock_kms/fault.h"
#include "mock_kms/handler.h"
#include "net/openssl_ptr.h"

namespace okms::test {

// What becomes of connections beyond the most that there may be.
enum class Surplus {
  kReset,
  kSilent,  // taken, and never answered
};

struct MockKmsOptions {
  std::string address = "127.0.0.1";
  uint16_t port = 0;  // 0: any free one
  std::string certificate;
  std::string key;
  std::string client_ca;
  Clients* clients = nullptr;               // if somebody wants to know of them; must outlive it
  std::chrono::microseconds delay{0};       // before each answer
  std::chrono::microseconds item_delay{0};  // more of it, for each item of the request
  int max_connections = 0;                  // at a time; 0: as many as come
  Surplus surplus = Surplus::kReset;
  std::string cipher_list;  // of TLS 1.2; empty: OpenSSL's default
  int max_tls_version = 0;  // for example TLS1_2_VERSION; 0: the highest there is
  HandlerOptions handler;
};

// Listens on one IPv4 address, one thread a connection. Thread-safe.
class MockKms {
 public:
  // Errors: kFailedPrecondition.
  static absl::StatusOr<std::unique_ptr<MockKms>> Start(MockKmsOptions options);
  // Ends all connections and waits for their threads.
  ~MockKms();

  uint16_t port() const { return port_; }
  Handler& handler() { return handler_; }

  // From now on; replaces the one before. nullopt ends it.
  void SetFault(std::optional<Fault> fault);
  // Whether it has come about as often as it was to.
  bool fault_is_over();
  void SetDelay(std::chrono::microseconds delay) { delay_ = delay; }

  void SetItemDelay(std::chrono::microseconds delay) { item_delay_ = delay; }
  // For those that come from now on. One whose end the client has only just closed still counts.
  void SetMaxConnections(int most, Surplus surplus = Surplus::kReset);

  // Resets every connection there is; new ones are welcome.
  void DropConnections();

  // Connections accepted so far.
  int connections() const { return accepted_; }

 private:
  struct Connection {
    UniqueFd fd;
    std::thread thread;
    bool surplus = false;
    std::atomic<bool> done = false;
  };

  MockKms(MockKmsOptions options, SslCtxPtr tls, UniqueFd listener, uint16_t port);
  void AcceptLoop();
  void Serve(Connection& connection);
  static void Ignore(int fd);
  // False when the connection is over.
  bool AnswerOne(SSL* ssl, int fd);
  bool Misbehave(SSL* ssl, int fd, FaultKind kind);
  void Reap(bool all);

  const SslCtxPtr tls_;
  const UniqueFd listener_;
  const uint16_t port_;
  Handler handler_;
  std::atomic<std::chrono::microseconds> delay_;
  std::atomic<std::chrono::microseconds> item_delay_;
  std::atomic<int> accepted_ = 0;

  std::mutex mutex_;  // guards all below
  std::condition_variable stopped_;
  bool stopping_ = false;
  std::optional<Fault> fault_;
  int max_connections_;
  Surplus surplus_;
  std::list<Connection> connections_;
  std::thread acceptor_;
};

}  // namespace okms::test

#endif  // OKMS_TESTS_MOCK_KMS_MOCK_KMS_H_
