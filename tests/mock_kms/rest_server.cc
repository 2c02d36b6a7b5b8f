// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// No routes: each would cost every request a regular expression. cpp-httplib calls one function
// before it looks for a route, which answers the requests whose body it will not read (but for that
// of a POST without Content-Length it would wait until its time is up), and one when it has an
// error to report: here that it has read a body and found no route, or that it refuses a request by
// itself.

#include "mock_kms/rest_server.h"

#include <httplib.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <ctime>
#include <future>
#include <list>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "mock_kms/rest_error.h"

namespace okms::test {
namespace {

// No pool: a client may hold as many connections as it likes, and each has a thread at once.
class ThreadPerConnection final : public httplib::TaskQueue {
 public:
  // void in older releases of cpp-httplib, whether it was taken (bool) in newer ones.
  using Taken = decltype(std::declval<httplib::TaskQueue&>().enqueue({}));

  Taken enqueue(std::function<void()> serve) override {
    std::erase_if(connections_, [](Connection& connection) {
      if (!connection.done) return false;
      connection.thread.join();
      return true;
    });
    Connection& connection = connections_.emplace_back();
    connection.thread = std::thread([&connection, serve = std::move(serve)] {
      serve();
      connection.done = true;
    });
    return Taken(true);
  }
  void shutdown() override {
    for (Connection& connection : connections_) connection.thread.join();
  }

 private:
  struct Connection {
    std::thread thread;
    std::atomic<bool> done = false;
  };
  std::list<Connection> connections_;  // of the accepting thread alone
};

RestRequest FromHttplib(const httplib::Request& request) {
  RestRequest converted{.method = request.method,
                        .target = request.target,
                        .version = request.version,
                        .body = request.body};
  for (const auto& [name, value] : request.headers) {
    // cpp-httplib's own, beside those of the client.
    if (absl::StartsWith(name, "REMOTE_") || absl::StartsWith(name, "LOCAL_")) continue;
    converted.headers.emplace_back(name, value);
  }
  return converted;
}

bool HasBody(const httplib::Request& request) {
  return request.has_header("Content-Length") || request.has_header("Transfer-Encoding");
}

// Of a request that was not read to its end there may be something left, which the next one on the
// same connection would begin with.
void CloseAfter(httplib::Response& response) { response.set_header("Connection", "close"); }

// Whether cpp-httplib reads a body, which it does after the first of the two functions.
bool ReadsBody(const httplib::Request& request) {
  return HasBody(request) && (request.method == "POST" || request.method == "PUT" ||
                              request.method == "PATCH" || request.method == "DELETE");
}

// A pointer to SSL in older releases of cpp-httplib, to void in newer ones.
SSL* SslOf(const httplib::Request& request) {
  const void* const ssl = request.ssl;
  return static_cast<SSL*>(const_cast<void*>(ssl));
}

// Takes the body that cpp-httplib leaves where it is, for the next request to begin with, because
// it expects none of such a method.
void SkipBody(const httplib::Request& request) {
  std::array<char, 4096> buffer;
  uint64_t left = 0;
  if (!absl::SimpleAtoi(request.get_header_value("Content-Length"), &left)) return;
  while (left > 0) {
    std::size_t read = 0;
    const std::size_t wanted = std::min<uint64_t>(left, buffer.size());
    if (SSL_read_ex(SslOf(request), buffer.data(), wanted, &read) != 1) return;
    left -= read;
  }
}

// RFC 9110 section 5.6.7.
std::string Date(std::time_t time) {
  std::tm fields{};
  std::array<char, 64> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT",
                                     ::gmtime_r(&time, &fields))};
}

void Deliver(const RestReply& reply, httplib::Response& response) {
  response.status = reply.response.status;
  response.set_header("Date", Date(std::time(nullptr)));
  for (const auto& [name, value] : reply.response.headers) response.set_header(name, value);
  const std::string& type = reply.response.content_type;
  const std::string& body = reply.response.body;
  if (reply.delivery == Delivery::kWhole) {
    if (!type.empty()) response.set_header("Content-Type", type);
    response.body = body;
    return;
  }
  response.set_content_provider(
      body.size(), type,
      [half = body.substr(0, body.size() / 2)](std::size_t, std::size_t, httplib::DataSink& sink) {
        sink.write(half.data(), half.size());
        return false;  // closes the connection
      });
}

void Answer(const RestServer::Handler& handler, const httplib::Request& request,
            httplib::Response& response) {
  const RestReply reply = handler(FromHttplib(request));
  const int fd = SSL_get_fd(SslOf(request));
  switch (reply.delivery) {
    case Delivery::kWhole:
    case Delivery::kHalf: Deliver(reply, response); return;
    case Delivery::kNever: {
      pollfd gone{fd, POLLRDHUP, 0};
      while (::poll(&gone, 1, -1) < 0 && errno == EINTR) {
      }
      [[fallthrough]];
    }
    case Delivery::kClosed: ::shutdown(fd, SHUT_RDWR); return;
  }
}

}  // namespace

RestServer::RestServer(Handler handler) : handler_(std::move(handler)) {}

absl::StatusOr<std::unique_ptr<RestServer>> RestServer::Start(const std::string& address,
                                                              uint16_t port, ServerTlsFiles files,
                                                              Handler handler) {
  std::unique_ptr<RestServer> server(new RestServer(std::move(handler)));
  server->http_ = std::make_unique<httplib::SSLServer>([&](SSL_CTX& tls) {
    server->connections_.Watch(tls);
    return DemandClientCertificates(tls, files);
  });
  httplib::SSLServer& http = *server->http_;
  if (!http.is_valid()) {
    return absl::FailedPreconditionError(absl::StrCat("OKMS mock: TLS: ", OpenSslErrors()));
  }
  constexpr time_t kForEver = 24 * 3600;
  constexpr std::size_t kAnyNumber = 1'000'000'000;
  http.set_keep_alive_max_count(kAnyNumber);
  http.set_keep_alive_timeout(kForEver);
  http.set_tcp_nodelay(true);
  int listener = -1;
  http.set_socket_options([&](int fd) {
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    listener = fd;
  });
  http.set_pre_routing_handler([self = server.get()](const auto& request, auto& response) {
    if (ReadsBody(request)) return httplib::Server::HandlerResponse::Unhandled;
    SkipBody(request);
    if (HasBody(request)) CloseAfter(response);
    Answer(self->handler_, request, response);
    return httplib::Server::HandlerResponse::Handled;
  });
  const httplib::Server::Handler on_error = [self = server.get()](const httplib::Request& request,
                                                                  httplib::Response& response) {
    const bool reached_us = request.ssl != nullptr;
    if (reached_us && !ReadsBody(request)) return;  // the error is our answer
    if (reached_us && response.status == 404) {
      Answer(self->handler_, request, response);
    } else {
      CloseAfter(response);
      Deliver({RestError(response.status, {"malformed request"})}, response);
    }
  };
  http.set_error_handler(on_error);
  const int bound =
      port == 0 ? http.bind_to_any_port(address) : (http.bind_to_port(address, port) ? port : -1);
  // Again, with a longer queue: cpp-httplib's holds five, the sixth client would try for a second.
  if (bound < 0 || ::listen(listener, SOMAXCONN) != 0) {
    return absl::FailedPreconditionError(absl::StrCat("OKMS mock: cannot listen on port ", port));
  }
  server->port_ = static_cast<uint16_t>(bound);
  // stop() does nothing before the loop runs; asking for the queue is the first thing it does then.
  std::promise<void> running;
  http.new_task_queue = [&running] {
    running.set_value();
    return new ThreadPerConnection;  // cpp-httplib deletes it
  };
  server->acceptor_ = std::thread([&http] { http.listen_after_bind(); });
  running.get_future().wait();
  return server;
}

RestServer::~RestServer() {
  if (!acceptor_.joinable()) return;  // it never listened
  http_->stop();
  connections_.DropForEver();
  acceptor_.join();
}

}  // namespace okms::test
