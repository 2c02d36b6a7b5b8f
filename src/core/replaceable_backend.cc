// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/replaceable_backend.h"

#include <algorithm>
#include <iterator>

#include "absl/status/status.h"

namespace okms {

void ReplaceableBackend::Replace(std::unique_ptr<Backend> next) {
  auto inner = std::make_unique<Inner>(std::move(next));
  state_.With([&](State& state) {
    std::swap(state.current, inner);
    if (inner) state.retired.push_back(std::move(inner));
  });
}

bool ReplaceableBackend::Sweep() {
  // Without the lock when they go. Nobody can take a new lease of one that was replaced.
  std::vector<std::unique_ptr<Inner>> unused;
  return state_.With([&](State& state) {
    auto& retired = state.retired;
    const auto first = std::partition(retired.begin(), retired.end(),
                                      [](const auto& inner) { return inner->leases > 0; });
    std::move(first, retired.end(), std::back_inserter(unused));
    retired.erase(first, retired.end());
    return !retired.empty();
  });
}

ReplaceableBackend::Lease ReplaceableBackend::Current() const {
  return state_.With([](const State& state) { return Lease(*state.current); });
}

bool ReplaceableBackend::IsCurrent(const Lease& lease) const {
  return state_.With([&](const State& state) { return lease.IsOf(*state.current); });
}

// It holds a lease of its own until it returns: the answer may come before that.
template <typename T, typename Ask>
void ReplaceableBackend::Go(std::shared_ptr<const Ask> ask, Deadline deadline, Done<T> done) {
  const Lease lease = Current();
  (*ask)(*lease,
         [this, lease, ask, deadline, done = std::move(done)](absl::StatusOr<T> result) mutable {
           const absl::Status& status = result.status();
           const bool way = absl::IsUnavailable(status) || absl::IsUnauthenticated(status);
           if (way && !Expired(deadline) && !IsCurrent(lease)) {
             Go(std::move(ask), deadline, std::move(done));
           } else {
             done(std::move(result));
           }
         });
}

void ReplaceableBackend::Locate(const std::string& label, NextDeadline deadline,
                                Done<Located> done) {
  auto ask = [label, next = std::move(deadline)](Backend& backend, Done<Located> answered) {
    backend.Locate(label, next, std::move(answered));
  };
  Go(std::make_shared<const decltype(ask)>(std::move(ask)), Deadline::max(), std::move(done));
}

void ReplaceableBackend::Inspect(const std::string& key_id, Deadline deadline, Done<KeyInfo> done) {
  auto ask = [key_id, deadline](Backend& backend, Done<KeyInfo> answered) {
    backend.Inspect(key_id, deadline, std::move(answered));
  };
  Go(std::make_shared<const decltype(ask)>(std::move(ask)), deadline, std::move(done));
}

void ReplaceableBackend::Encrypt(Way way, const std::string& key_id, Secret plaintext,
                                 Deadline deadline, Done<Ciphertext> done) {
  auto ask = [way, key_id, plaintext = std::move(plaintext), deadline](Backend& backend,
                                                                       Done<Ciphertext> answered) {
    backend.Encrypt(way, key_id, Secret(plaintext.Reveal()), deadline, std::move(answered));
  };
  Go(std::make_shared<const decltype(ask)>(std::move(ask)), deadline, std::move(done));
}

void ReplaceableBackend::Decrypt(Way way, const std::string& key_id, Ciphertext ciphertext,
                                 Deadline deadline, Done<Secret> done) {
  auto ask = [way, key_id, ciphertext = std::move(ciphertext), deadline](Backend& backend,
                                                                         Done<Secret> answered) {
    backend.Decrypt(way, key_id, ciphertext, deadline, std::move(answered));
  };
  Go(std::make_shared<const decltype(ask)>(std::move(ask)), deadline, std::move(done));
}

}  // namespace okms
