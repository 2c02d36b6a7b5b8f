// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Mutual TLS over a TCP socket, without any waiting: who uses it waits for its descriptor.

#ifndef OKMS_NET_TLS_SOCKET_H_
#define OKMS_NET_TLS_SOCKET_H_

#include <ctime>
#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/secret.h"
#include "base/unique_fd.h"
#include "net/address.h"
#include "net/host_port.h"
#include "net/openssl_ptr.h"
#include "net/tls_context.h"

namespace okms {

// First Continue, until it is connected and has shaken hands; then Write and Read. Not thread-safe.
// It leaves no plaintext behind: neither of what is written nor of what was read.
class TlsSocket {
 public:
  // One that is yet to be connected, to the target at this address of its. Errors: kUnavailable (no
  // descriptor), kInternal.
  static absl::StatusOr<std::unique_ptr<TlsSocket>> Create(const HostPort& target,
                                                           const Address& address,
                                                           const TlsContext& context);
  // Tells the peer that we leave; its answer is not awaited, and one that is broken stays silent.
  ~TlsSocket();
  TlsSocket(const TlsSocket&) = delete;
  TlsSocket& operator=(const TlsSocket&) = delete;

  int fd() const { return fd_.get(); }
  const Address& address() const { return address_; }

  // Goes on with the connection and the handshake, as far as it can. Returns what to wait for
  // (POLLIN, POLLOUT) before it is called again; 0 when all is done. Errors: kUnavailable (nobody
  // there, or the handshake broke), kUnauthenticated (the KMS's certificate is not what we trust,
  // or it does not take ours).
  absl::StatusOr<short> Continue();
  bool connected() const { return connected_; }
  // What it comes to when that is broken off for this reason.
  absl::Status BrokenOff(const absl::Status& why) const;

  // Writes all of it; what the connection does not take at once is kept for the next Read. An error
  // is told by that one.
  void Write(ByteView bytes);
  // Writes what is left, then reads what there is; 0: nothing for now. One read(2) of the socket at
  // most brings something: it is to be waited for again rather than asked until it has nothing.
  // Errors, after which there are no others: kUnavailable (reset, or closed by the peer),
  // kUnauthenticated (it does not take our certificate).
  absl::StatusOr<std::size_t> Read(std::span<uint8_t> buffer);
  // Whether Read has something to tell that no descriptor tells of.
  bool more() const { return more_; }
  // What to wait for before Read.
  short events() const;
  // Has Read tell this error.
  void Fail(absl::Status why);

  // Whether our certificates have not ended since it was made.
  bool IsFresh() const { return std::time(nullptr) <= good_until_; }

 private:
  TlsSocket(std::string peer, const Address& address, UniqueFd fd, SslPtr ssl,
            std::time_t good_until);

  absl::StatusOr<bool> Connect();
  // Makes one call of OpenSSL: what to wait for before it is made again, if anything.
  template <typename Call>
  absl::StatusOr<short> Step(absl::string_view what, Call&& call);
  absl::Status Failure(absl::string_view what, int reason, int error) const;
  // How many of these bytes are written now.
  std::size_t WriteSome(ByteView bytes);
  void Flush();
  bool writing() const { return !unwritten_.empty(); }

  const std::string peer_;
  const Address address_;
  const UniqueFd fd_;
  const SslPtr ssl_;
  const std::time_t good_until_;
  bool connected_ = false;
  bool broken_ = false;  // OpenSSL must not be called again
  WipedBytes unwritten_;
  std::size_t written_ = 0;  // of these
  bool reading_writes_ = false;
  bool more_ = false;
  absl::Status failure_;
};

}  // namespace okms

#endif  // OKMS_NET_TLS_SOCKET_H_
