// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Mutual TLS over TCP.

#ifndef OKMS_NET_TLS_DIALER_H_
#define OKMS_NET_TLS_DIALER_H_

#include <memory>

#include "net/cancellation.h"
#include "net/host_port.h"
#include "net/resolver.h"
#include "net/stream.h"
#include "net/tls_context.h"

namespace okms {

// Dials one host by all of its addresses, in turn, and checks the KMS's certificate against the
// host's name (or IP address). Thread-safe.
class TlsDialer : public Dialer {
 public:
  TlsDialer(HostPort target, std::shared_ptr<const TlsContext> context)
      : target_(target), resolver_(std::move(target)), context_(std::move(context)) {}

  absl::StatusOr<std::unique_ptr<Stream>> Dial(Deadline deadline) override;
  void Cancel() override { cancellation_->Cancel(); }

 private:
  absl::StatusOr<std::unique_ptr<Stream>> DialAddress(const Address& address, Deadline deadline);

  HostPort target_;
  Resolver resolver_;
  // Shared with who else dials (see TlsContext).
  std::shared_ptr<const TlsContext> context_;
  // Shared with the streams, which may live longer.
  const std::shared_ptr<const Cancellation> cancellation_ = std::make_shared<Cancellation>();
};

}  // namespace okms

#endif  // OKMS_NET_TLS_DIALER_H_
