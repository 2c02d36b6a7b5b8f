// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/tls_dialer.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <iterator>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "net/openssl_ptr.h"
#include "net/peer_certificate.h"
#include "net/tcp.h"

namespace okms {
namespace {

// Waits until `fd` is ready for `events`. Errors: kDeadlineExceeded, kCancelled.
absl::Status WaitFor(int fd, short events, Deadline deadline, const Cancellation& cancellation) {
  while (true) {
    pollfd entries[] = {{fd, events, 0}, cancellation.Watch()};
    const int ready = ::poll(entries, std::size(entries), PollTimeout(deadline));
    if (ready > 0) return entries[1].revents != 0 ? Cancellation::Error() : absl::OkStatus();
    if (ready == 0 && Expired(deadline)) return absl::DeadlineExceededError("no answer in time");
    // Of any other error the next call on `fd` will say why.
    if (ready < 0 && errno != EINTR && errno != EAGAIN) return absl::OkStatus();
  }
}

// Whether this OpenSSL error is the peer's alert that it does not take our certificate. With
// TLS 1.3 that comes after our side of the handshake is done.
bool RefusesCertificate(unsigned long error) {
  if (ERR_GET_LIB(error) != ERR_LIB_SSL) return false;
  switch (ERR_GET_REASON(error) - SSL_AD_REASON_OFFSET) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_CERTIFICATE_REQUIRED: return true;
    default: return false;
  }
}

class TlsStream : public Stream {
 public:
  TlsStream(std::string peer, UniqueFd fd, SslPtr ssl,
            std::shared_ptr<const Cancellation> cancellation)
      : peer_(std::move(peer)),
        fd_(std::move(fd)),
        ssl_(std::move(ssl)),
        cancellation_(std::move(cancellation)) {}

  // Tells the peer that we leave; its answer is not awaited, and a broken stream stays silent.
  ~TlsStream() override {
    if (!broken_) SSL_shutdown(ssl_.get());
    ERR_clear_error();
  }

  absl::Status Handshake(Deadline deadline) {
    return Drive("TLS handshake", deadline, [&] { return SSL_connect(ssl_.get()); });
  }

  absl::Status Write(ByteView data, Deadline deadline) override {
    while (!data.empty()) {
      std::size_t written = 0;
      OKMS_RETURN_IF_ERROR(Drive("write", deadline, [&] {
        return SSL_write_ex(ssl_.get(), data.data(), data.size(), &written);
      }));
      data = data.subspan(written);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::size_t> Read(std::span<uint8_t> buffer, Deadline deadline) override {
    std::size_t read = 0;
    OKMS_RETURN_IF_ERROR(Drive("read", deadline, [&] {
      return SSL_read_ex(ssl_.get(), buffer.data(), buffer.size(), &read);
    }));
    return read;
  }

  bool IsQuiet() override {
    if (broken_) return false;
    // Also digests TLS 1.3 session tickets, which make the socket readable without being data.
    uint8_t byte = 0;
    std::size_t read = 0;
    ERR_clear_error();
    const int result = SSL_peek_ex(ssl_.get(), &byte, 1, &read);
    const bool quiet = result != 1 && SSL_get_error(ssl_.get(), result) == SSL_ERROR_WANT_READ;
    if (!quiet) broken_ = true;
    ERR_clear_error();
    return quiet;
  }

 private:
  // Runs one non-blocking OpenSSL call to its end.
  template <typename Call>
  absl::Status Drive(absl::string_view what, Deadline deadline, Call&& call) {
    while (true) {
      ERR_clear_error();
      errno = 0;
      const int result = call();
      if (result == 1) return absl::OkStatus();
      const int error = errno;
      const int reason = SSL_get_error(ssl_.get(), result);
      if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE) {
        const short events = reason == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
        const absl::Status ready = WaitFor(fd_.get(), events, deadline, *cancellation_);
        if (ready.ok()) continue;
        broken_ = true;
        return Annotate(ready, absl::StrCat(peer_, ": ", what));
      }
      broken_ = true;
      return Failure(what, reason, error);
    }
  }

  absl::Status Failure(absl::string_view what, int reason, int error) const {
    const long verified = SSL_get_verify_result(ssl_.get());
    if (verified != X509_V_OK && !SSL_is_init_finished(ssl_.get())) {
      ERR_clear_error();
      return absl::UnauthenticatedError(
          absl::StrCat(peer_, ": the KMS's certificate is refused: ", TakeRefusal()));
    }
    const std::string context = absl::StrCat(peer_, ": ", what);
    if (reason == SSL_ERROR_SSL && RefusesCertificate(ERR_peek_error())) {
      return absl::UnauthenticatedError(absl::StrCat(context, ": the KMS refuses our certificate (",
                                                     OpenSslErrors(), "); check --client-cert"));
    }
    if (reason == SSL_ERROR_ZERO_RETURN ||
        ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING ||
        (reason == SSL_ERROR_SYSCALL && error == 0 && ERR_peek_error() == 0)) {
      ERR_clear_error();
      return absl::UnavailableError(absl::StrCat(context, ": closed by the KMS"));
    }
    if (reason == SSL_ERROR_SYSCALL && error != 0) {
      ERR_clear_error();
      return ErrnoStatus(absl::StatusCode::kUnavailable, context, error);
    }
    return absl::UnavailableError(absl::StrCat(context, ": ", OpenSslErrors()));
  }

  std::string peer_;
  UniqueFd fd_;
  SslPtr ssl_;
  std::shared_ptr<const Cancellation> cancellation_;
  bool broken_ = false;
};

absl::StatusOr<UniqueFd> Connect(const Address& address, const std::string& peer, Deadline deadline,
                                 const Cancellation& cancellation) {
  UniqueFd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return ErrnoStatus(absl::StatusCode::kUnavailable, "socket", errno);
  // A sockaddr is what the socket API calls a sockaddr_storage.
  const auto* target = reinterpret_cast<const sockaddr*>(&address.storage);
  if (::connect(fd.get(), target, address.size) != 0) {
    if (errno != EINPROGRESS) {
      return ErrnoStatus(absl::StatusCode::kUnavailable, absl::StrCat(peer, ": connect"), errno);
    }
    const absl::Status ready = WaitFor(fd.get(), POLLOUT, deadline, cancellation);
    if (!ready.ok()) return Annotate(ready, absl::StrCat(peer, ": connect"));
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
      return ErrnoStatus(absl::StatusCode::kUnavailable, absl::StrCat(peer, ": connect"), error);
    }
  }
  TuneConnection(fd.get());
  return fd;
}

// Whom we call (RFC 6066 section 3: a DNS name only), and whom its certificate must name.
absl::Status SetHost(SSL* ssl, const std::string& host) {
  X509_VERIFY_PARAM* param = SSL_get0_param(ssl);
  bool set = ExpectHost(param, host);
  if (char* const name = X509_VERIFY_PARAM_get0_host(param, 0)) {
    // What SSL_set_tlsext_host_name does; the macro has a C cast in it.
    set = set && SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name) == 1;
  }
  if (set) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("cannot expect host ", host, ": ", OpenSslErrors()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Stream>> TlsDialer::DialAddress(const Address& address,
                                                               Deadline deadline) {
  const std::string ip = address.ToString();
  const std::string peer =
      ip == target_.host ? target_.ToString() : absl::StrCat(target_.ToString(), " (", ip, ")");
  OKMS_ASSIGN_OR_RETURN(UniqueFd fd, Connect(address, peer, deadline, *cancellation_));
  SslPtr ssl(SSL_new(context_->get()));
  if (!ssl || SSL_set_fd(ssl.get(), fd.get()) != 1) {
    return absl::InternalError(absl::StrCat("cannot open a TLS session: ", OpenSslErrors()));
  }
  OKMS_RETURN_IF_ERROR(SetHost(ssl.get(), target_.host));
  auto stream = std::make_unique<TlsStream>(peer, std::move(fd), std::move(ssl), cancellation_);
  OKMS_RETURN_IF_ERROR(stream->Handshake(deadline));
  return stream;
}

absl::StatusOr<std::unique_ptr<Stream>> TlsDialer::Dial(Deadline deadline) {
  OKMS_ASSIGN_OR_RETURN(const std::vector<Address> addresses,
                        resolver_.Resolve(deadline, *cancellation_));
  absl::Status last = absl::UnavailableError("no address");
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    // A silent address may use up its share of the time, not that of the ones behind it.
    const auto now = Clock::now();
    const auto left = static_cast<int>(addresses.size() - i);
    auto stream = DialAddress(addresses[i], now + (deadline - now) / left);
    if (stream.ok()) return stream;
    last = stream.status();
    if (absl::IsCancelled(last)) break;
  }
  return last;
}

}  // namespace okms
