// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/tls_dialer.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <iterator>
#include <limits>
#include <list>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/debug.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "net/address_order.h"
#include "net/cancellation.h"
#include "net/openssl_ptr.h"
#include "net/peer_certificate.h"
#include "net/tcp.h"

namespace okms {
namespace {

// After so long without an answer, the next address is tried beside it (RFC 8305 section 5).
constexpr std::chrono::milliseconds kNextAddress{250};
// Once it has taken the connection, it has shown that it is there: handshakes take their time.
constexpr std::chrono::milliseconds kNextAddressAfterConnect{1000};

// Who asked and had no answer for so long was not answered; a caller may have less time than that.
constexpr std::chrono::milliseconds kSilence{1000};
// Dialled at once: those of other dials, and the rest of us, need descriptors, too.
constexpr std::size_t kAtOnce = 4;

absl::Status TooLate() { return absl::DeadlineExceededError("no answer in time"); }

// Waits until one of `entries` is ready, or `until`; the last one of them is the cancellation's.
// Errors: kCancelled.
absl::Status WaitForAny(std::span<pollfd> entries, Deadline until) {
  const int ready = ::poll(entries.data(), entries.size(), PollTimeout(until));
  // Of any error of poll(2) the next call on a descriptor will say why.
  return ready > 0 && entries.back().revents != 0 ? Cancellation::Error() : absl::OkStatus();
}

// Waits until `fd` is ready for `events`, or seems so. Errors: kDeadlineExceeded, kCancelled.
absl::Status WaitFor(int fd, short events, Deadline deadline, const Cancellation& cancellation) {
  pollfd entries[] = {{fd, events, 0}, cancellation.Watch()};
  OKMS_RETURN_IF_ERROR(WaitForAny(entries, deadline));
  return entries[0].revents == 0 && Expired(deadline) ? TooLate() : absl::OkStatus();
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

}  // namespace

// What streams share with their dialer, which may go before them.
struct TlsDialer::Shared {
  Cancellation cancellation;
  AddressOrder order;
};

namespace {

class TlsStream : public Stream {
 public:
  TlsStream(std::string peer, const Address& address, UniqueFd fd, SslPtr ssl,
            std::time_t good_until, std::shared_ptr<TlsDialer::Shared> shared)
      : peer_(std::move(peer)),
        address_(address),
        fd_(std::move(fd)),
        ssl_(std::move(ssl)),
        good_until_(good_until),
        shared_(std::move(shared)) {}

  // Tells the peer that we leave; its answer is not awaited, and a broken stream stays silent.
  ~TlsStream() override {
    if (!broken_) SSL_shutdown(ssl_.get());
    ERR_clear_error();
    Debug([this] { return absl::StrCat(peer_, ": connection closed", broken_ ? ", broken" : ""); });
  }

  // Goes on with the handshake without waiting: what to wait for next; nothing (0) when it is done.
  absl::StatusOr<short> Handshake() {
    auto events = Step("TLS handshake", [&] { return SSL_connect(ssl_.get()); });
    if (events.ok() && *events == 0) {
      Debug([this] { return absl::StrCat(peer_, ": ", DescribeTls(ssl_.get())); });
    }
    return events;
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
    if (!std::exchange(answered_, true)) shared_->order.Answered(address_);
    return read;
  }

  bool IsQuiet() override {
    if (broken_ || std::time(nullptr) > good_until_) return false;
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
  // Makes one non-blocking OpenSSL call: what to wait for before it is made again, if anything.
  template <typename Call>
  absl::StatusOr<short> Step(absl::string_view what, Call&& call) {
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

  // Makes it until it has come to its end.
  template <typename Call>
  absl::Status Drive(absl::string_view what, Deadline deadline, Call&& call) {
    const Deadline began = Clock::now();
    while (true) {
      OKMS_ASSIGN_OR_RETURN(const short events, Step(what, call));
      if (events == 0) return absl::OkStatus();
      const absl::Status ready = WaitFor(fd_.get(), events, deadline, shared_->cancellation);
      if (ready.ok()) continue;
      broken_ = true;
      if (absl::IsDeadlineExceeded(ready) && Clock::now() - began >= kSilence) {
        shared_->order.Silent(address_);
      }
      return Annotate(ready, absl::StrCat(peer_, ": ", what));
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
    const bool no_tls = ERR_GET_REASON(ERR_peek_error()) == SSL_R_WRONG_VERSION_NUMBER;
    return absl::UnavailableError(absl::StrCat(
        context, ": ", OpenSslErrors(),
        no_tls ? "; what answers there speaks no TLS: check the port of --serv-addr" : ""));
  }

  const std::string peer_;
  const Address address_;
  UniqueFd fd_;
  SslPtr ssl_;
  const std::time_t good_until_;
  const std::shared_ptr<TlsDialer::Shared> shared_;
  bool answered_ = false;
  bool broken_ = false;
};

// How long a new connection may be used. Once a certificate has expired, an older connection would
// hide from the checks that there can be no other.
std::time_t GoodUntil(const Validity& validity) {
  const std::optional<std::time_t> end = validity.End();
  const bool to_come = end && *end >= std::time(nullptr);
  return to_come ? *end : std::numeric_limits<std::time_t>::max();
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

// One address being dialled: first the connection, then the handshake. Nothing of it waits.
class TlsDialer::Attempt {
 public:
  // `fd`: the stream's, an unconnected, non-blocking socket.
  Attempt(std::unique_ptr<TlsStream> stream, std::string peer, const Address& address, int fd)
      : stream_(std::move(stream)), peer_(std::move(peer)), address_(address), fd_(fd) {}

  // Goes on as far as it can; whether it is there.
  absl::StatusOr<bool> GoOn() {
    if (!connected_) {
      OKMS_ASSIGN_OR_RETURN(connected_, Connect());
      if (!connected_) return false;
      TuneConnection(fd_);
      Debug([this] { return absl::StrCat(peer_, ": connected"); });
      patience_ = Clock::now() + kNextAddressAfterConnect;
    }
    OKMS_ASSIGN_OR_RETURN(events_, stream_->Handshake());
    return events_ == 0;
  }

  const Address& address() const { return address_; }
  // What to wait for before it can go on.
  pollfd Watch() const { return {fd_, events_, 0}; }
  Deadline began() const { return began_; }
  // When another address is worth a try beside this one.
  Deadline patience() const { return patience_; }
  // What it comes to when it is broken off for that reason.
  absl::Status BrokenOff(const absl::Status& why) const {
    return Annotate(why, absl::StrCat(peer_, connected_ ? ": TLS handshake" : ": connect"));
  }
  std::unique_ptr<Stream> Take() { return std::move(stream_); }

 private:
  absl::StatusOr<bool> Connect() {
    // A sockaddr is what the socket API calls a sockaddr_storage.
    const auto* target = reinterpret_cast<const sockaddr*>(&address_.storage);
    // Called again, it tells how the first one went.
    if (::connect(fd_, target, address_.size) == 0 || errno == EISCONN) return true;
    if (errno == EINPROGRESS || errno == EALREADY) return false;
    return ErrnoStatus(absl::StatusCode::kUnavailable, absl::StrCat(peer_, ": connect"), errno);
  }

  std::unique_ptr<TlsStream> stream_;
  const std::string peer_;
  const Address address_;
  const int fd_;
  bool connected_ = false;
  short events_ = POLLOUT;
  Deadline began_ = Clock::now();
  Deadline patience_ = began_ + kNextAddress;
};

TlsDialer::TlsDialer(HostPort target, std::shared_ptr<const TlsContext> context,
                     std::string name_servers)
    : target_(target),
      resolver_(std::move(target), std::move(name_servers)),
      context_(std::move(context)),
      shared_(std::make_shared<Shared>()) {}

void TlsDialer::Cancel() { shared_->cancellation.Cancel(); }

absl::StatusOr<TlsDialer::Attempt> TlsDialer::Begin(const Address& address) {
  const std::string ip = address.ToString();
  const std::string peer =
      ip == target_.host ? target_.ToString() : absl::StrCat(target_.ToString(), " (", ip, ")");
  UniqueFd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return ErrnoStatus(absl::StatusCode::kUnavailable, "socket", errno);
  SslPtr ssl(SSL_new(context_->get()));
  if (!ssl || SSL_set_fd(ssl.get(), fd.get()) != 1) {
    return absl::InternalError(absl::StrCat("cannot open a TLS session: ", OpenSslErrors()));
  }
  OKMS_RETURN_IF_ERROR(SetHost(ssl.get(), target_.host));
  const int raw = fd.get();
  auto stream = std::make_unique<TlsStream>(peer, address, std::move(fd), std::move(ssl),
                                            GoodUntil(context_->validity()), shared_);
  return Attempt(std::move(stream), peer, address, raw);
}

// The first address that has shaken hands wins; the others are closed.
absl::StatusOr<std::unique_ptr<Stream>> TlsDialer::Dial(Deadline deadline) {
  OKMS_ASSIGN_OR_RETURN(std::vector<Address> addresses,
                        resolver_.Resolve(deadline, shared_->cancellation));
  shared_->order.Sort(addresses);
  auto next = addresses.begin();
  std::list<Attempt> running;  // the latest last
  absl::Status last = absl::UnavailableError("no address");
  while (true) {
    const Deadline next_at = running.empty() ? Deadline() : running.back().patience();
    if (next != addresses.end() && running.size() < kAtOnce && Clock::now() >= next_at) {
      absl::StatusOr<Attempt> attempt = Begin(*next++);
      if (attempt.ok()) {
        running.push_back(*std::move(attempt));
      } else {
        last = attempt.status();
      }
    }
    for (auto attempt = running.begin(); attempt != running.end();) {
      const absl::StatusOr<bool> there = attempt->GoOn();
      if (there.ok() && *there) return attempt->Take();
      if (!there.ok()) {
        Debug([&] { return absl::StrCat("no connection: ", Message(there.status())); });
        // What an address answered tells more than what is wrong with the way to another one.
        if (!absl::IsUnauthenticated(last)) last = there.status();
      }
      attempt = there.ok() ? std::next(attempt) : running.erase(attempt);
    }
    if (running.empty()) {
      if (next == addresses.end()) return last;
      continue;
    }
    if (Expired(deadline)) {
      const Deadline silent_since = Clock::now() - kSilence;
      for (const Attempt& attempt : running) {
        if (attempt.began() <= silent_since) shared_->order.Silent(attempt.address());
      }
      return absl::IsUnauthenticated(last) ? last : running.back().BrokenOff(TooLate());
    }
    std::vector<pollfd> entries;
    for (const Attempt& attempt : running) entries.push_back(attempt.Watch());
    entries.push_back(shared_->cancellation.Watch());
    const bool more = next != addresses.end() && running.size() < kAtOnce;
    const Deadline until = more ? std::min(deadline, running.back().patience()) : deadline;
    const absl::Status waited = WaitForAny(entries, until);
    if (!waited.ok()) return running.back().BrokenOff(waited);
  }
}

}  // namespace okms
