// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "integration/relay.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "absl/status/status.h"
#include "base/status.h"

namespace okms::test {
namespace {

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Relay>> Relay::Start(uint16_t target_port) {
  UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener.get(), generic, size) != 0 || ::listen(listener.get(), SOMAXCONN) != 0 ||
      ::getsockname(listener.get(), generic, &size) != 0) {
    return ErrnoStatus(absl::StatusCode::kFailedPrecondition, "relay", errno);
  }
  return std::unique_ptr<Relay>(
      new Relay(std::move(listener), ntohs(address.sin_port), target_port));
}

Relay::~Relay() {
  ::shutdown(listener_.get(), SHUT_RDWR);  // wakes accept(2)
  acceptor_.join();
  for (const auto& connection : connections_) {
    ::shutdown(connection->client.get(), SHUT_RDWR);
    ::shutdown(connection->server.get(), SHUT_RDWR);
    connection->thread.join();
  }
}

void Relay::SwallowConnections() {
  const std::lock_guard lock(mutex_);
  for (const auto& connection : connections_) connection->swallows = true;
}

void Relay::AcceptLoop() {
  while (true) {
    UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!client) return;
    UniqueFd server(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in target = Loopback(target_port_);
    if (::connect(server.get(), reinterpret_cast<const sockaddr*>(&target), sizeof target) != 0) {
      continue;
    }
    auto connection = std::make_unique<Connection>();
    connection->client = std::move(client);
    connection->server = std::move(server);
    Connection& started = *connection;
    const std::lock_guard lock(mutex_);
    connections_.push_back(std::move(connection));
    started.thread = std::thread([&started] { Pump(started); });
  }
}

void Relay::Pump(Connection& connection) {
  std::array<pollfd, 2> ends{
      {{connection.client.get(), POLLIN, 0}, {connection.server.get(), POLLIN, 0}}};
  std::array<char, 16384> buffer{};
  bool open = true;
  while (open) {
    ::poll(ends.data(), ends.size(), -1);
    for (std::size_t i = 0; i < ends.size(); ++i) {
      if (ends[i].revents == 0) continue;
      const ssize_t read = ::recv(ends[i].fd, buffer.data(), buffer.size(), 0);
      if (read <= 0) open = false;
      if (read <= 0 || connection.swallows) continue;
      const auto size = static_cast<std::size_t>(read);
      if (::send(ends[1 - i].fd, buffer.data(), size, MSG_NOSIGNAL) != read) open = false;
    }
  }
  ::shutdown(connection.client.get(), SHUT_RDWR);
  ::shutdown(connection.server.get(), SHUT_RDWR);
}

}  // namespace okms::test
