// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Mutual TLS to one host, on the I/O loop.

#ifndef OKMS_NET_TLS_CONNECTOR_H_
#define OKMS_NET_TLS_CONNECTOR_H_

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <string>

#include "net/address_order.h"
#include "net/cached_name.h"
#include "net/channel.h"
#include "net/host_port.h"
#include "net/io_loop.h"
#include "net/tls_context.h"
#include "net/traffic.h"

namespace okms {

class TlsOpening;

// Opens channels to one host by all of its addresses, and checks the KMS's certificate against the
// host's name (or IP address). The address that answered last comes first. Of the loop's turn.
class TlsConnector : public Connector {
 public:
  // Both references must outlive it. For tests: `name_servers` as Lookup takes them.
  TlsConnector(IoLoop& loop, HostPort target, std::shared_ptr<const TlsContext> context,
               Traffic& traffic, std::string name_servers = "");

  std::unique_ptr<Opening> Open(Deadline deadline, Opened opened) override;
  bool HasSeveralAddresses() const override { return name_.addresses().size() > 1; }

 private:
  friend class TlsOpening;

  IoLoop& loop_;
  // Shared with who else connects (see TlsContext).
  const std::shared_ptr<const TlsContext> context_;
  Traffic& traffic_;
  CachedName name_;
  AddressOrder order_;
  std::list<TlsOpening*> openings_;
  // For a record of TLS; what is read is passed on before anything else is.
  std::array<uint8_t, SSL3_RT_MAX_PLAIN_LENGTH> buffer_{};
};

}  // namespace okms

#endif  // OKMS_NET_TLS_CONNECTOR_H_
