// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "mock_kms/mock_kms.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "kmip/ttlv.h"
#include "mock_kms/server_tls.h"

namespace okms::test {
namespace {

bool WriteAll(SSL* ssl, ByteView bytes) {
  std::size_t written = 0;
  return bytes.empty() || SSL_write_ex(ssl, bytes.data(), bytes.size(), &written) == 1;
}

bool ReadAll(SSL* ssl, std::span<uint8_t> buffer) {
  while (!buffer.empty()) {
    std::size_t read = 0;
    if (SSL_read_ex(ssl, buffer.data(), buffer.size(), &read) != 1) return false;
    buffer = buffer.subspan(read);
  }
  return true;
}

// The next close of this descriptor is a reset.
void Reset(int fd) {
  const linger at_once{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

absl::StatusOr<SslCtxPtr> MakeTls(const MockKmsOptions& options) {
  SslCtxPtr tls(SSL_CTX_new(TLS_server_method()));
  if (!tls ||
      !DemandClientCertificates(*tls, {.certificate = options.certificate,
                                       .key = options.key,
                                       .client_ca = options.client_ca,
                                       .clients = options.clients}) ||
      SSL_CTX_set_max_proto_version(tls.get(), options.max_tls_version) != 1 ||
      (!options.cipher_list.empty() &&
       SSL_CTX_set_cipher_list(tls.get(), options.cipher_list.c_str()) != 1)) {
    return absl::FailedPreconditionError(absl::StrCat("mock KMS: TLS: ", OpenSslErrors()));
  }
  return tls;
}

}  // namespace

absl::StatusOr<std::unique_ptr<MockKms>> MockKms::Start(MockKmsOptions options) {
  OKMS_ASSIGN_OR_RETURN(SslCtxPtr tls, MakeTls(options));
  UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(options.port);
  ::inet_pton(AF_INET, options.address.c_str(), &address.sin_addr);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener.get(), generic, size) != 0 || ::listen(listener.get(), SOMAXCONN) != 0 ||
      ::getsockname(listener.get(), generic, &size) != 0) {
    return ErrnoStatus(absl::StatusCode::kFailedPrecondition,
                       absl::StrCat("mock KMS: port ", options.port), errno);
  }
  const uint16_t port = ntohs(address.sin_port);
  return std::unique_ptr<MockKms>(
      new MockKms(std::move(options), std::move(tls), std::move(listener), port));
}

MockKms::MockKms(MockKmsOptions options, SslCtxPtr tls, UniqueFd listener, uint16_t port)
    : tls_(std::move(tls)),
      listener_(std::move(listener)),
      port_(port),
      handler_(std::move(options.handler)),
      delay_(options.delay),
      item_delay_(options.item_delay),
      max_connections_(options.max_connections),
      surplus_(options.surplus),
      acceptor_([this] { AcceptLoop(); }) {}

MockKms::~MockKms() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    stopped_.notify_all();
  }
  ::shutdown(listener_.get(), SHUT_RDWR);  // wakes accept(2)
  acceptor_.join();
  DropConnections();
  Reap(/*all=*/true);
}

void MockKms::SetFault(std::optional<Fault> fault) {
  const std::lock_guard lock(mutex_);
  fault_ = fault;
}

void MockKms::SetMaxConnections(int most, Surplus surplus) {
  const std::lock_guard lock(mutex_);
  max_connections_ = most;
  surplus_ = surplus;
}

bool MockKms::fault_is_over() {
  const std::lock_guard lock(mutex_);
  return !fault_ || fault_->times == 0;
}

void MockKms::DropConnections() {
  const std::lock_guard lock(mutex_);
  for (Connection& connection : connections_) {
    if (connection.done) continue;
    Reset(connection.fd.get());
    ::shutdown(connection.fd.get(), SHUT_RDWR);
  }
}

void MockKms::Reap(bool all) {
  std::list<Connection> finished;
  {
    const std::lock_guard lock(mutex_);
    for (auto it = connections_.begin(); it != connections_.end();) {
      const auto next = std::next(it);
      if (all || it->done) finished.splice(finished.end(), connections_, it);
      it = next;
    }
  }
  for (Connection& connection : finished) connection.thread.join();
}

void MockKms::AcceptLoop() {
  while (true) {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      continue;
    }
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    Reap(/*all=*/false);
    ++accepted_;
    const std::lock_guard lock(mutex_);
    const auto open = std::count_if(
        connections_.begin(), connections_.end(),
        [](const Connection& connection) { return !connection.done && !connection.surplus; });
    const bool surplus = max_connections_ > 0 && open >= max_connections_;
    if (surplus && surplus_ == Surplus::kReset) {
      Reset(fd.get());
      continue;
    }
    Connection& connection = connections_.emplace_back();
    connection.fd = std::move(fd);
    connection.surplus = surplus;
    connection.thread = std::thread([this, &connection] { Serve(connection); });
  }
}

// Until the client gives up, or this server ends.
void MockKms::Ignore(int fd) {
  std::array<uint8_t, 512> unread{};
  while (::read(fd, unread.data(), unread.size()) > 0) {
  }
}

void MockKms::Serve(Connection& connection) {
  if (connection.surplus) {
    Ignore(connection.fd.get());
  } else {
    const SslPtr ssl(SSL_new(tls_.get()));
    SSL_set_fd(ssl.get(), connection.fd.get());
    if (SSL_accept(ssl.get()) == 1) {
      while (AnswerOne(ssl.get(), connection.fd.get())) {
      }
    }
    ERR_clear_error();
  }
  const std::lock_guard lock(mutex_);  // against DropConnections
  connection.done = true;
  connection.fd.reset();
}

bool MockKms::AnswerOne(SSL* ssl, int fd) {
  std::array<uint8_t, ttlv::kHeaderSize> header{};
  if (!ReadAll(ssl, header)) return false;
  const auto size = ttlv::MessageSize(header);
  if (!size.ok()) return false;
  WipedBytes message(header.begin(), header.end());
  message.resize(*size);
  if (!ReadAll(ssl, std::span(message).subspan(header.size()))) return false;

  const auto requests = kmip::Request::Decode(message);
  std::chrono::microseconds delay = delay_;
  std::optional<Hit> hit;
  if (requests.ok()) {
    delay += static_cast<int>(requests->size()) * item_delay_.load();
    const std::lock_guard lock(mutex_);
    hit = TakeHit(fault_, *requests);
  }
  if (delay.count() > 0) {
    std::unique_lock lock(
        mutex_);  // a KMS that takes its time; the end of the server cuts it short
    if (stopped_.wait_for(lock, delay, [&] { return stopping_; })) return false;
  }
  const WipedBytes reply = handler_.Answer(message, hit);
  if (hit) {
    switch (hit->fault.kind) {
      case FaultKind::kTruncate:
        WriteAll(ssl, ByteView(reply).first(reply.size() / 2));
        SSL_shutdown(ssl);
        return false;
      case FaultKind::kReset:
      case FaultKind::kClose:
      case FaultKind::kCloseBatch:
      case FaultKind::kHang:
      case FaultKind::kGarbage:
      case FaultKind::kOversize: return Misbehave(ssl, fd, hit->fault.kind);
      default: break;
    }
  }
  return WriteAll(ssl, reply);
}

bool MockKms::Misbehave(SSL* ssl, int fd, FaultKind kind) {
  constexpr std::array<uint8_t, 16> kGarbage{'H', 'T', 'T', 'P', '/', '1', '.', '1',
                                             ' ', '4', '0', '0', ' ', 'B', 'a', 'd'};
  constexpr std::array<uint8_t, 8> kTwoGigabytes{0x42, 0x00, 0x7B, 0x01, 0x80, 0, 0, 0};
  switch (kind) {
    case FaultKind::kReset: Reset(fd); return false;
    case FaultKind::kGarbage: return WriteAll(ssl, kGarbage);
    case FaultKind::kOversize: return WriteAll(ssl, kTwoGigabytes);
    case FaultKind::kHang: {
      uint8_t byte = 0;  // until the client gives up, or this server ends
      std::size_t read = 0;
      SSL_read_ex(ssl, &byte, 1, &read);
      return false;
    }
    default: SSL_shutdown(ssl); return false;
  }
}

}  // namespace okms::test
