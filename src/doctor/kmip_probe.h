// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A KMIP connection of one's own, to see what the backend hides.

#ifndef OKMS_DOCTOR_KMIP_PROBE_H_
#define OKMS_DOCTOR_KMIP_PROBE_H_

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "base/deadline.h"
#include "kmip/connection.h"
#include "kmip/known_server.h"
#include "net/tls_socket.h"

namespace okms::doctor {

// For one thread; each call blocks until the deadline at most.
class KmipProbe {
 public:
  // Makes a connection that has shaken hands.
  using Dial = std::function<absl::StatusOr<std::unique_ptr<TlsSocket>>()>;

  // Comes to a version, by as many connections as the plugin would take. Errors: those of
  // kmip::Connection and TlsSocket.
  static absl::StatusOr<std::unique_ptr<KmipProbe>> Begin(const Dial& dial, Deadline deadline);

  kmip::ProtocolVersion version() const { return connection_.version(); }

  // What the KMS's clock says ahead of ours, by the header of an answer (KMIP 1.4 section 6.5).
  // Errors: as Begin's.
  absl::StatusOr<std::chrono::seconds> Ahead(Deadline deadline);

  // Whether it answers several operations in one request. Errors: as Begin's.
  absl::StatusOr<bool> Batches(Deadline deadline);

 private:
  KmipProbe(std::unique_ptr<TlsSocket> socket, std::unique_ptr<kmip::KnownServer> known);

  // Until `done` of the connection.
  absl::Status Talk(const std::function<bool()>& done, Deadline deadline);
  // So many times a question that costs a KMS nothing.
  absl::StatusOr<kmip::Reply> Ask(std::size_t items, Deadline deadline);

  const std::unique_ptr<kmip::KnownServer> known_;
  kmip::Connection connection_;
  const std::unique_ptr<TlsSocket> socket_;
};

}  // namespace okms::doctor

#endif  // OKMS_DOCTOR_KMIP_PROBE_H_
