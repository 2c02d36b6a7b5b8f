// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Name resolution for who may wait.

#ifndef OKMS_NET_RESOLVER_H_
#define OKMS_NET_RESOLVER_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/deadline.h"
#include "base/guarded.h"
#include "net/address.h"
#include "net/cancellation.h"
#include "net/host_port.h"

namespace okms {

// Resolves one name, anew for each connection; while the name server is away, the last good answer
// serves. Thread-safe.
class Resolver {
 public:
  // For tests: `name_servers` as Lookup takes them.
  explicit Resolver(HostPort target, std::string name_servers = "");

  // As many addresses as Lookup gives, at least one, in its order. An IP address is
  // answered at once. Blocks at most until `deadline`. Errors: kUnavailable, kDeadlineExceeded,
  // kCancelled.
  absl::StatusOr<std::vector<Address>> Resolve(Deadline deadline, const Cancellation& cancellation);

 private:
  const HostPort target_;
  const std::string name_servers_;
  const std::optional<Address> address_;  // when the target is one
  Guarded<std::vector<Address>> last_good_;
};

}  // namespace okms

#endif  // OKMS_NET_RESOLVER_H_
