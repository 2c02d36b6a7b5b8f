// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Name resolution that keeps to a deadline.

#ifndef OKMS_NET_RESOLVER_H_
#define OKMS_NET_RESOLVER_H_

#include <sys/socket.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/deadline.h"
#include "net/host_port.h"

namespace okms {

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;

  // The address without the port.
  std::string ToString() const;
};

// Resolves one name, again and again. getaddrinfo(3) cannot be bounded or cancelled, so it runs on
// a thread of its own (one at a time) and callers wait for it no longer than their deadline; while
// the name server is away, the last good answer serves. Thread-safe.
class Resolver {
 public:
  using Lookup = std::function<absl::StatusOr<std::vector<Address>>(const HostPort&)>;

  explicit Resolver(HostPort target);
  // For tests: `lookup` in place of getaddrinfo(3).
  Resolver(HostPort target, Lookup lookup);

  // At least one address, in the order in which to try them. An IP address is answered at once.
  // Blocks at most until `deadline`. Errors: kUnavailable, kDeadlineExceeded.
  absl::StatusOr<std::vector<Address>> Resolve(Deadline deadline);

 private:
  struct State;
  HostPort target_;
  // Shared with the look-up thread, which may hang in the name service longer than we live.
  std::shared_ptr<State> state_;
};

}  // namespace okms

#endif  // OKMS_NET_RESOLVER_H_
