// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/resolver.h"

#include <poll.h>

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/debug.h"
#include "net/lookup.h"

namespace okms {

Resolver::Resolver(HostPort target, std::string name_servers)
    : target_(std::move(target)),
      name_servers_(std::move(name_servers)),
      address_(ParseAddress(target_)) {}

absl::StatusOr<std::vector<Address>> Resolver::Resolve(Deadline deadline,
                                                       const Cancellation& cancellation) {
  if (address_) return std::vector<Address>{*address_};

  std::vector<Address> last_good =
      last_good_.With([](const std::vector<Address>& addresses) { return addresses; });
  // With an older answer at hand, leave half of the time to use it.
  const auto now = Clock::now();
  const Deadline until = last_good.empty() ? deadline : now + (deadline - now) / 2;
  Lookup lookup(target_, name_servers_);
  while (!lookup.done() && !Expired(until)) {
    std::vector<pollfd> descriptors = lookup.Descriptors();
    descriptors.push_back(cancellation.Watch());
    ::poll(descriptors.data(), descriptors.size(), PollTimeout(std::min(until, lookup.NextTime())));
    if (descriptors.back().revents != 0) return Cancellation::Error();
    lookup.Process();
  }
  if (lookup.done() && lookup.result().ok()) {
    std::vector<Address> addresses = *lookup.result();
    // Whoever answers in the name server's place chooses how many there are. Each gets a share of
    // the caller's time, so of many none would get enough.
    if (addresses.size() > kMaxAddresses) addresses.resize(kMaxAddresses);
    last_good_.With([&](std::vector<Address>& last) { last = addresses; });
    Debug([&] { return absl::StrCat(target_.host, ": found at ", Listed(addresses)); });
    return addresses;
  }
  if (!last_good.empty()) {
    Debug([&] {
      return absl::StrCat(target_.host, ": no answer, as before at ", Listed(last_good));
    });
    return last_good;
  }
  if (lookup.done()) return lookup.result();
  return absl::DeadlineExceededError(
      absl::StrCat("cannot resolve ", target_.host, ": the name service did not answer in time"));
}

}  // namespace okms
