// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Mutual TLS over TCP.

#ifndef OKMS_NET_TLS_DIALER_H_
#define OKMS_NET_TLS_DIALER_H_

#include <memory>
#include <string>

#include "net/address.h"
#include "net/host_port.h"
#include "net/resolver.h"
#include "net/stream.h"
#include "net/tls_context.h"

namespace okms {

// Dials one host by all of its addresses, and checks the KMS's certificate against the host's name
// (or IP address). The address that answered last comes first; one that takes too long is not
// waited for: the next one is tried beside it, and the first that has shaken hands wins.
// Thread-safe.
class TlsDialer : public Dialer {
 public:
  // `name_servers` are for tests, as Lookup takes them.
  TlsDialer(HostPort target, std::shared_ptr<const TlsContext> context,
            std::string name_servers = "");

  absl::StatusOr<std::unique_ptr<Stream>> Dial(Deadline deadline) override;
  void Cancel() override;

  struct Shared;  // with the streams

 private:
  class Attempt;

  absl::StatusOr<Attempt> Begin(const Address& address);

  const HostPort target_;
  Resolver resolver_;
  // Shared with who else dials (see TlsContext).
  const std::shared_ptr<const TlsContext> context_;
  const std::shared_ptr<Shared> shared_;
};

}  // namespace okms

#endif  // OKMS_NET_TLS_DIALER_H_
