// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The addresses of a name, for who must not wait for them.

#ifndef OKMS_NET_CACHED_NAME_H_
#define OKMS_NET_CACHED_NAME_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/deadline.h"
#include "net/address.h"
#include "net/host_port.h"
#include "net/io_loop.h"
#include "net/lookup.h"
#include "net/traffic.h"

namespace okms {

// An answer counts for a minute, and serves until there is a newer one, however long the name
// server is away. An IP address is always known. Of the loop's turn; no call blocks.
class CachedName {
 public:
  // Both references must outlive it. For tests: `name_servers` as Lookup takes them.
  CachedName(IoLoop& loop, HostPort target, Traffic& traffic, std::string name_servers = "");

  const HostPort& target() const { return target_; }
  bool is_address() const { return is_address_; }
  // Empty while nothing is known.
  const std::vector<Address>& addresses() const { return addresses_; }
  bool known() const { return !addresses_.empty(); }
  // Why the latest look-up that failed did: kUnavailable, "cannot resolve NAME: REASON".
  const absl::Status& error() const { return error_; }
  // Whether a look-up is under way.
  bool looking() const { return lookup_ != nullptr; }

  // The name is about to be used: begins a look-up, unless there is one or what is known is young
  // enough.
  void Refresh();
  // What is known led nowhere: begins one, at most once a second.
  void Suspect();

  // `told` is called each time that a look-up has ended, well or not, and never from within the two
  // above.
  void OnResult(std::function<void()> told) { told_ = std::move(told); }

 private:
  void Begin();
  void Wait();
  void GoOn();
  void TakeResult();

  IoLoop& loop_;
  const HostPort target_;
  Traffic& traffic_;
  const std::string name_servers_;
  bool is_address_ = false;
  std::vector<Address> addresses_;
  absl::Status error_;
  std::function<void()> told_ = [] {};
  Deadline begun_;  // the latest look-up
  Deadline next_;   // when the next one is due
  std::unique_ptr<Lookup> lookup_;
  // Of the look-up.
  std::vector<IoLoop::Watch> watches_;
  IoLoop::Timer timer_;
};

}  // namespace okms

#endif  // OKMS_NET_CACHED_NAME_H_
