// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The addresses of a name, for a loop that must not wait for them.

#ifndef OKMS_HTTP_CACHED_NAME_H_
#define OKMS_HTTP_CACHED_NAME_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/deadline.h"
#include "net/address.h"
#include "net/host_port.h"
#include "net/lookup.h"

namespace okms::http {

// An answer counts for a minute, and serves until there is a newer one, however long the name
// server is away. An IP address is always known. Not thread-safe; no call blocks.
class CachedName {
 public:
  // For tests: `name_servers` as Lookup takes them.
  CachedName(HostPort target, std::string name_servers);

  const HostPort& target() const { return target_; }
  bool is_address() const { return is_address_; }
  // Empty while nothing is known.
  const std::vector<Address>& addresses() const { return addresses_; }
  bool known() const { return !addresses_.empty(); }
  // Why the latest look-up failed: kUnavailable, "cannot resolve NAME: REASON".
  const absl::Status& error() const { return error_; }

  // The name is about to be used: begins a look-up, unless there is one or what is known is young
  // enough.
  void Refresh();
  // What is known led nowhere: begins one, at most once a second.
  void Suspect();

  // The look-up under way; null when there is none.
  const Lookup* lookup() const { return lookup_.get(); }
  // Lets it go on.
  void Process();

 private:
  void Begin();
  void TakeResult();

  const HostPort target_;
  const std::string name_servers_;
  bool is_address_ = false;
  std::vector<Address> addresses_;
  absl::Status error_;
  Clock::time_point begun_;  // the latest look-up
  Clock::time_point next_;   // when the next one is due
  std::unique_ptr<Lookup> lookup_;
};

}  // namespace okms::http

#endif  // OKMS_HTTP_CACHED_NAME_H_
