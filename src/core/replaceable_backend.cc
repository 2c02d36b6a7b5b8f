// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/replaceable_backend.h"

#include <algorithm>
#include <iterator>

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

template <typename T>
Done<T> ReplaceableBackend::Holding(const Lease& lease, Done<T> done) {
  return [lease, done = std::move(done)](absl::StatusOr<T> result) mutable {
    done(std::move(result));
  };
}

// Each holds a lease of its own until it returns: the answer may come before that.

void ReplaceableBackend::Locate(const std::string& label, NextDeadline deadline,
                                Done<Located> done) {
  const Lease lease = Current();
  (*lease).Locate(label, std::move(deadline), Holding(lease, std::move(done)));
}

void ReplaceableBackend::Inspect(const std::string& key_id, Deadline deadline, Done<KeyInfo> done) {
  const Lease lease = Current();
  (*lease).Inspect(key_id, deadline, Holding(lease, std::move(done)));
}

void ReplaceableBackend::Encrypt(Way way, const std::string& key_id, Secret plaintext,
                                 Deadline deadline, Done<Ciphertext> done) {
  const Lease lease = Current();
  (*lease).Encrypt(way, key_id, std::move(plaintext), deadline, Holding(lease, std::move(done)));
}

void ReplaceableBackend::Decrypt(Way way, const std::string& key_id, Ciphertext ciphertext,
                                 Deadline deadline, Done<Secret> done) {
  const Lease lease = Current();
  (*lease).Decrypt(way, key_id, std::move(ciphertext), deadline, Holding(lease, std::move(done)));
}

}  // namespace okms
