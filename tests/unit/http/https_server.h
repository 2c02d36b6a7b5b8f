// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Servers on the loopback interface whose every byte of HTTP/1.1 the test writes.

#ifndef OKMS_TESTS_UNIT_HTTP_HTTPS_SERVER_H_
#define OKMS_TESTS_UNIT_HTTP_HTTPS_SERVER_H_

#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "unit/net/tls_server.h"

namespace okms::http::test {

// "HTTP/1.1 `status`", then `headers` (each with its line's end), the body's length, and the body.
inline std::string HttpText(absl::string_view status, absl::string_view headers,
                            absl::string_view body) {
  return absl::StrCat("HTTP/1.1 ", status, "\r\n", headers, "Content-Length: ", body.size(),
                      "\r\n\r\n", body);
}
inline std::string JsonText(absl::string_view body) {
  return HttpText("200 OK", "Content-Type: application/json\r\n", body);
}

// Takes connections on a free port of 127.0.0.1, each on a thread of its own.
class LoopbackServer {
 public:
  // What is done with a connection; its sending side is closed when this returns.
  using Session = std::function<void(int fd)>;

  explicit LoopbackServer(Session session) : session_(std::move(session)) {
    socket_.Listen();
    acceptor_ = std::thread([this] { Accept(); });
  }
  // Ends all sessions.
  ~LoopbackServer() { Stop(); }

  uint16_t port() const { return socket_.port(); }
  // How many have come so far.
  int connections() const {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(connections_.size());
  }
  // Until that many sessions are over, and the clients have been told.
  void AwaitEnds(int count) {
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [&] { return ends_ >= count; });
  }
  void Stop() {
    if (!acceptor_.joinable()) return;
    socket_.Stop();
    acceptor_.join();
    for (const auto& connection : connections_) ::shutdown(connection->fd.get(), SHUT_RDWR);
    for (const auto& connection : connections_) connection->thread.join();
  }

 private:
  struct Connection {
    UniqueFd fd;  // open until the end: a closed one would answer late bytes with a reset
    std::thread thread;
  };

  void Accept() {
    while (true) {
      auto connection = std::make_unique<Connection>();
      connection->fd = socket_.Accept();
      if (!connection->fd) return;
      const int fd = connection->fd.get();
      const std::lock_guard lock(mutex_);
      connections_.push_back(std::move(connection));
      connections_.back()->thread = std::thread([this, fd] {
        session_(fd);
        ::shutdown(fd, SHUT_WR);
        const std::lock_guard lock_again(mutex_);
        ++ends_;
        ended_.notify_all();
      });
    }
  }

  const Session session_;
  okms::test::LoopbackSocket socket_;
  mutable std::mutex mutex_;
  std::condition_variable ended_;
  int ends_ = 0;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::thread acceptor_;
};

// The server's side of a connection, after the handshake.
class HttpsConnection {
 public:
  HttpsConnection(SSL* ssl, int number) : ssl_(ssl), number_(number) {}

  // The next request: its head, an empty line, and its body; nullopt when the client has closed.
  std::optional<std::string> Read() {
    std::size_t end = 0;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
      if (!Fill()) return std::nullopt;
    }
    end += 4;
    const std::string length = "\r\nContent-Length: ";
    if (const auto at = buffer_.find(length); at < end) {
      end += std::stoul(buffer_.substr(at + length.size()));
    }
    while (buffer_.size() < end) {
      if (!Fill()) return std::nullopt;
    }
    std::string request = buffer_.substr(0, end);
    buffer_.erase(0, end);
    return request;
  }
  // False when the client has closed.
  bool Write(absl::string_view bytes) {
    std::size_t written = 0;
    return SSL_write_ex(ssl_, bytes.data(), bytes.size(), &written) == 1;
  }
  // Until the client closes; what it still sends is not answered.
  void AwaitClose() {
    while (Fill()) continue;
  }
  // Closes without the end that TLS provides for: as a peer that dies.
  void Abort() { SSL_set_quiet_shutdown(ssl_, 1); }

  int number() const { return number_; }  // the first one is 1
  bool resumed() const { return SSL_session_reused(ssl_) == 1; }
  std::string client() const { return okms::test::ClientName(ssl_); }

 private:
  bool Fill() {
    char bytes[4096];
    std::size_t size = 0;
    if (SSL_read_ex(ssl_, bytes, sizeof bytes, &size) != 1) return false;
    buffer_.append(bytes, size);
    return true;
  }

  SSL* const ssl_;
  const int number_;
  std::string buffer_;
};

class HttpsServer {
 public:
  using Session = std::function<void(HttpsConnection&)>;

  HttpsServer(const okms::test::TlsServerOptions& options, Session session)
      : context_(okms::test::NewServerContext(options)),
        session_(std::move(session)),
        server_([this](int fd) { Serve(fd); }) {}

  uint16_t port() const { return server_.port(); }
  // Connections, also those that did not get through the handshake.
  int connections() const { return server_.connections(); }
  void AwaitEnds(int count) { server_.AwaitEnds(count); }

 private:
  void Serve(int fd) {
    const okms::SslPtr ssl(SSL_new(context_.get()));
    SSL_set_fd(ssl.get(), fd);
    if (SSL_accept(ssl.get()) != 1) return;
    int number = 0;
    {
      const std::lock_guard lock(mutex_);
      number = ++accepted_;
    }
    HttpsConnection connection(ssl.get(), number);
    session_(connection);
    SSL_shutdown(ssl.get());
  }

  const okms::SslCtxPtr context_;
  const Session session_;
  std::mutex mutex_;
  int accepted_ = 0;
  LoopbackServer server_;  // last: its threads use all above
};

// A proxy that connects to one port of 127.0.0.1, whatever it is asked for.
class ConnectProxy {
 public:
  explicit ConnectProxy(uint16_t target)
      : target_(target), server_([this](int fd) { Serve(fd); }) {}

  uint16_t port() const { return server_.port(); }
  // The first lines of what it was asked.
  std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  void Serve(int client) {
    std::string head;
    char byte = 0;
    while (head.find("\r\n\r\n") == std::string::npos) {
      if (::recv(client, &byte, 1, 0) != 1) return;
      head += byte;
    }
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(head.substr(0, head.find("\r\n")));
    }
    const UniqueFd target(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(target_);
    if (::connect(target.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return;
    constexpr absl::string_view kAnswer = "HTTP/1.1 200 Connection established\r\n\r\n";
    if (!SendAll(client, kAnswer)) return;
    pollfd both[] = {{client, POLLIN, 0}, {target.get(), POLLIN, 0}};
    while (::poll(both, 2, -1) > 0) {
      for (int from = 0; from < 2; ++from) {
        if (both[from].revents == 0) continue;
        char bytes[16 * 1024];
        const ssize_t size = ::recv(both[from].fd, bytes, sizeof bytes, 0);
        if (size <= 0) return;
        if (!SendAll(both[1 - from].fd, {bytes, static_cast<std::size_t>(size)})) return;
      }
    }
  }
  static bool SendAll(int fd, absl::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  const uint16_t target_;
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  LoopbackServer server_;  // last: its threads use all above
};

}  // namespace okms::http::test

#endif  // OKMS_TESTS_UNIT_HTTP_HTTPS_SERVER_H_
