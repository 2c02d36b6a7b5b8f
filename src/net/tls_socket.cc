// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/tls_socket.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <limits>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/debug.h"
#include "base/status.h"
#include "net/peer_certificate.h"
#include "net/refused_certificate.h"
#include "net/tcp.h"

namespace okms {
namespace {

// Whether this OpenSSL error is the peer's alert that it does not take our certificate.
bool RefusesCertificate(unsigned long error) {
  return ERR_GET_LIB(error) == ERR_LIB_SSL &&
         RefusesOurCertificate(ERR_GET_REASON(error) - SSL_AD_REASON_OFFSET);
}

// How long a new connection may be used. Once a certificate has expired, an older connection would
// hide from the checks that there can be no other.
std::time_t GoodUntil(const Validity& validity) {
  const std::optional<std::time_t> end = validity.End();
  const bool to_come = end && *end >= std::time(nullptr);
  return to_come ? *end : std::numeric_limits<std::time_t>::max();
}

// Whom we call (RFC 6066 section 3: a DNS name only), and whom its certificate must name.
bool SetHost(SSL* ssl, const std::string& host) {
  X509_VERIFY_PARAM* param = SSL_get0_param(ssl);
  if (!ExpectHost(param, host)) return false;
  char* const name = X509_VERIFY_PARAM_get0_host(param, 0);
  // What SSL_set_tlsext_host_name does; the macro has a C cast in it.
  return name == nullptr ||
         SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name) == 1;
}

void SetWays(SSL* ssl) {
  // A reply in one read(2), rather than its head and then its body.
  SSL_set_read_ahead(ssl, 1);
  // Records are decrypted where they were read; without this, that is left there.
  SSL_set_options(ssl, SSL_OP_CLEANSE_PLAINTEXT);
  SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE);
}

}  // namespace

absl::StatusOr<std::unique_ptr<TlsSocket>> TlsSocket::Create(const HostPort& target,
                                                             const Address& address,
                                                             const TlsContext& context) {
  const std::string ip = address.ToString();
  std::string peer =
      ip == target.host ? target.ToString() : absl::StrCat(target.ToString(), " (", ip, ")");
  UniqueFd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return ErrnoStatus(absl::StatusCode::kUnavailable, "socket", errno);
  ERR_clear_error();
  SslPtr ssl(SSL_new(context.get()));
  if (!ssl || SSL_set_fd(ssl.get(), fd.get()) != 1) {
    return absl::InternalError(absl::StrCat("cannot open a TLS session: ", OpenSslErrors()));
  }
  if (!SetHost(ssl.get(), target.host)) {
    return absl::InternalError(
        absl::StrCat("cannot expect host ", target.host, ": ", OpenSslErrors()));
  }
  SetWays(ssl.get());
  return std::unique_ptr<TlsSocket>(new TlsSocket(std::move(peer), address, std::move(fd),
                                                  std::move(ssl), GoodUntil(context.validity())));
}

TlsSocket::TlsSocket(std::string peer, const Address& address, UniqueFd fd, SslPtr ssl,
                     std::time_t good_until)
    : peer_(std::move(peer)),
      address_(address),
      fd_(std::move(fd)),
      ssl_(std::move(ssl)),
      good_until_(good_until) {}

TlsSocket::~TlsSocket() {
  if (!connected_) return;
  if (!broken_) SSL_shutdown(ssl_.get());
  ERR_clear_error();
  Debug([this] { return absl::StrCat(peer_, ": connection closed", broken_ ? ", broken" : ""); });
}

absl::StatusOr<short> TlsSocket::Continue() {
  if (!connected_) {
    OKMS_ASSIGN_OR_RETURN(connected_, Connect());
    if (!connected_) return short{POLLOUT};
    TuneConnection(fd_.get());
    Debug([this] { return absl::StrCat(peer_, ": connected"); });
  }
  auto events = Step("TLS handshake", [&] { return SSL_connect(ssl_.get()); });
  if (events.ok() && *events == 0) {
    Debug([this] { return absl::StrCat(peer_, ": ", DescribeTls(ssl_.get())); });
    more_ = SSL_has_pending(ssl_.get()) == 1;  // came with the end of the handshake
  }
  return events;
}

absl::StatusOr<bool> TlsSocket::Connect() {
  // A sockaddr is what the socket API calls a sockaddr_storage.
  const auto* target = reinterpret_cast<const sockaddr*>(&address_.storage);
  // Called again, it tells how the first one went.
  if (::connect(fd_.get(), target, address_.size) == 0 || errno == EISCONN) return true;
  if (errno == EINPROGRESS || errno == EALREADY) return false;
  return ErrnoStatus(absl::StatusCode::kUnavailable, absl::StrCat(peer_, ": connect"), errno);
}

absl::Status TlsSocket::BrokenOff(const absl::Status& why) const {
  const bool shaken = SSL_is_init_finished(ssl_.get()) != 0;
  return Annotate(why, absl::StrCat(peer_, shaken       ? ": read"
                                           : connected_ ? ": TLS handshake"
                                                        : ": connect"));
}

template <typename Call>
absl::StatusOr<short> TlsSocket::Step(absl::string_view what, Call&& call) {
  ERR_clear_error();
  errno = 0;
  const int result = call();
  if (result == 1) return short{0};
  const int error = errno;
  const int reason = SSL_get_error(ssl_.get(), result);
  if (reason == SSL_ERROR_WANT_READ) return short{POLLIN};
  if (reason == SSL_ERROR_WANT_WRITE) return short{POLLOUT};
  broken_ = true;
  return Failure(what, reason, error);
}

absl::Status TlsSocket::Failure(absl::string_view what, int reason, int error) const {
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
  const bool no_tls = ERR_GET_REASON(ERR_peek_error()) == SSL_R_WRONG_VERSION_NUMBER;
  return absl::UnavailableError(absl::StrCat(
      context, ": ", OpenSslErrors(),
      no_tls ? "; what answers there speaks no TLS: check the port of --serv-addr" : ""));
}

void TlsSocket::Fail(absl::Status why) {
  if (failure_.ok()) failure_ = std::move(why);
  more_ = true;
}

std::size_t TlsSocket::WriteSome(ByteView bytes) {
  std::size_t all = 0;
  while (all < bytes.size() && failure_.ok()) {
    const ByteView rest = bytes.subspan(all);
    std::size_t some = 0;
    const auto events =
        Step("write", [&] { return SSL_write_ex(ssl_.get(), rest.data(), rest.size(), &some); });
    if (!events.ok()) Fail(events.status());
    if (events.ok() && *events != 0) break;
    all += some;
  }
  return all;
}

void TlsSocket::Write(ByteView bytes) {
  if (!writing()) bytes = bytes.subspan(WriteSome(bytes));
  if (!failure_.ok()) return;
  unwritten_.insert(unwritten_.end(), bytes.begin(), bytes.end());
}

void TlsSocket::Flush() {
  written_ += WriteSome(ByteView(unwritten_).subspan(written_));
  if (written_ < unwritten_.size()) return;
  WipedBytes().swap(unwritten_);
  written_ = 0;
}

absl::StatusOr<std::size_t> TlsSocket::Read(std::span<uint8_t> buffer) {
  if (writing()) Flush();
  std::size_t all = 0;
  // Not before: whoever asks for other keys meanwhile (RFC 8446 section 4.6.3) is answered when
  // that is read, for which OpenSSL has no place while a record is half written.
  more_ = !writing();
  while (more_ && all < buffer.size() && failure_.ok()) {
    const std::span<uint8_t> rest = buffer.subspan(all);
    std::size_t some = 0;
    const auto events =
        Step("read", [&] { return SSL_read_ex(ssl_.get(), rest.data(), rest.size(), &some); });
    if (!events.ok()) {
      Fail(events.status());
      break;
    }
    more_ = *events == 0 && SSL_has_pending(ssl_.get()) == 1;
    reading_writes_ = *events == POLLOUT;
    all += some;
  }
  if (all == 0 && !failure_.ok()) return failure_;
  return all;
}

short TlsSocket::events() const { return writing() || reading_writes_ ? POLLOUT : POLLIN; }

}  // namespace okms
