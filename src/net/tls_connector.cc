// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/tls_connector.h"

#include <utility>

#include "net/tls_opening.h"

namespace okms {

TlsConnector::TlsConnector(IoLoop& loop, HostPort target, std::shared_ptr<const TlsContext> context,
                           Traffic& traffic, std::string name_servers)
    : loop_(loop),
      context_(std::move(context)),
      traffic_(traffic),
      name_(loop, std::move(target), traffic, std::move(name_servers)) {
  name_.OnResult([this] {
    for (TlsOpening* opening : openings_) opening->NameWasAsked();
  });
}

std::unique_ptr<Opening> TlsConnector::Open(Deadline deadline, Opened opened) {
  return std::make_unique<TlsOpening>(*this, deadline, std::move(opened));
}

}  // namespace okms
