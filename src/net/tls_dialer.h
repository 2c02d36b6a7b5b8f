// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Mutual TLS over TCP.

#ifndef OKMS_NET_TLS_DIALER_H_
#define OKMS_NET_TLS_DIALER_H_

#include <memory>

#include "net/host_port.h"
#include "net/resolver.h"
#include "net/stream.h"
#include "net/tls_context.h"

namespace okms {

// Dials one host by all of its addresses, in turn, and checks the KMS's certificate against the
// host's name (or IP address). Thread-safe.
class TlsDialer : public Dialer {
 public:
  TlsDialer(HostPort target, std::unique_ptr<const TlsContext> context)
      : target_(target), resolver_(std::move(target)), context_(std::move(context)) {}

  absl::StatusOr<std::unique_ptr<Stream>> Dial(Deadline deadline) override;

 private:
  absl::StatusOr<std::unique_ptr<Stream>> DialAddress(const Address& address, Deadline deadline);

  HostPort target_;
  Resolver resolver_;
  std::unique_ptr<const TlsContext> context_;
};

}  // namespace okms

#endif  // OKMS_NET_TLS_DIALER_H_
