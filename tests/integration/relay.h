// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A TCP relay on loopback, whose connections can fall silent.

#ifndef OKMS_TESTS_INTEGRATION_RELAY_H_
#define OKMS_TESTS_INTEGRATION_RELAY_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace okms::test {

// Thread-safe. The destructor ends all connections.
class Relay {
 public:
  // Errors: kFailedPrecondition.
  static absl::StatusOr<std::unique_ptr<Relay>> Start(uint16_t target_port);
  ~Relay();

  uint16_t port() const { return port_; }

  // From now on the connections there are still read, and acknowledge, but pass nothing on. New
  // ones are not concerned.
  void SwallowConnections();

 private:
  struct Connection {
    UniqueFd client;
    UniqueFd server;
    std::atomic<bool> swallows = false;
    std::thread thread;
  };

  Relay(UniqueFd listener, uint16_t port, uint16_t target_port)
      : listener_(std::move(listener)), port_(port), target_port_(target_port) {
    acceptor_ = std::thread([this] { AcceptLoop(); });
  }
  void AcceptLoop();
  static void Pump(Connection& connection);

  const UniqueFd listener_;
  const uint16_t port_;
  const uint16_t target_port_;
  std::mutex mutex_;  // guards the list
  std::vector<std::unique_ptr<Connection>> connections_;
  std::thread acceptor_;
};

}  // namespace okms::test

#endif  // OKMS_TESTS_INTEGRATION_RELAY_H_
