// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The way to a host, step by step.

#ifndef OKMS_DOCTOR_REACH_H_
#define OKMS_DOCTOR_REACH_H_

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/deadline.h"
#include "net/address.h"
#include "net/host_port.h"
#include "net/tls_context.h"
#include "net/tls_socket.h"

namespace okms::doctor {

// Each blocks until it is done, or until the deadline.

// As the plugin would: by /etc/hosts and DNS. Errors: kUnavailable, kDeadlineExceeded.
absl::StatusOr<std::vector<Address>> Resolve(const HostPort& target, Deadline deadline);

// Whether somebody listens there. Errors: kUnavailable, kDeadlineExceeded.
absl::Status TryConnect(const Address& address, Deadline deadline);

// Whether the KMS takes our certificate, which with TLS 1.3 it says after the handshake, if it does
// not. To ask it something at once could lose that word. Takes as long as the KMS needs for its
// next one, and some tenths of a second where there is none. Errors: as those of TlsSocket.
absl::Status AwaitVerdict(TlsSocket& socket);

// Connects and shakes hands. Errors: as those of TlsSocket; kDeadlineExceeded.
absl::StatusOr<std::unique_ptr<TlsSocket>> ShakeHands(const HostPort& target,
                                                      const Address& address,
                                                      const TlsContext& context, Deadline deadline);

}  // namespace okms::doctor

#endif  // OKMS_DOCTOR_REACH_H_
