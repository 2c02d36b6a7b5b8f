// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/resolver.h"

#include <netdb.h>

#include <condition_variable>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace okms {
namespace {

absl::StatusOr<std::vector<Address>> GetAddrInfo(const HostPort& target, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | flags;
  addrinfo* list = nullptr;
  const int error =
      ::getaddrinfo(target.host.c_str(), absl::StrCat(target.port).c_str(), &hints, &list);
  if (error != 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot resolve ", target.host, ": ", ::gai_strerror(error)));
  }
  std::vector<Address> addresses;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    Address address;
    std::memcpy(&address.storage, entry->ai_addr, entry->ai_addrlen);
    address.size = entry->ai_addrlen;
    addresses.push_back(address);
  }
  ::freeaddrinfo(list);
  return addresses;
}

}  // namespace

std::string Address::ToString() const {
  char host[NI_MAXHOST] = "?";
  // A sockaddr is what the socket API calls a sockaddr_storage.
  ::getnameinfo(reinterpret_cast<const sockaddr*>(&storage), size, host, sizeof host, nullptr, 0,
                NI_NUMERICHOST);
  return host;
}

struct Resolver::State {
  Lookup lookup;
  std::mutex mutex;
  std::condition_variable changed;
  bool running = false;
  unsigned finished = 0;  // counts look-ups that came back
  absl::StatusOr<std::vector<Address>> latest{absl::UnavailableError("never resolved")};
  std::vector<Address> last_good;
};

Resolver::Resolver(HostPort target)
    : Resolver(std::move(target), [](const HostPort& t) { return GetAddrInfo(t, AI_ADDRCONFIG); }) {
}

Resolver::Resolver(HostPort target, Lookup lookup)
    : target_(std::move(target)), state_(std::make_shared<State>()) {
  state_->lookup = std::move(lookup);
}

absl::StatusOr<std::vector<Address>> Resolver::Resolve(Deadline deadline) {
  if (auto numeric = GetAddrInfo(target_, AI_NUMERICHOST); numeric.ok()) return numeric;

  std::unique_lock lock(state_->mutex);
  if (!state_->running) {
    state_->running = true;
    try {
      std::thread([state = state_, target = target_] {
        auto result = state->lookup(target);
        const std::lock_guard guard(state->mutex);
        if (result.ok()) state->last_good = *result;
        state->latest = std::move(result);
        state->running = false;
        ++state->finished;
        state->changed.notify_all();
      }).detach();
    } catch (const std::system_error& error) {
      state_->running = false;
      return absl::UnavailableError(
          absl::StrCat("cannot resolve ", target_.host, ": no thread: ", error.what()));
    }
  }
  const bool fallback = !state_->last_good.empty();
  // With an older answer at hand, leave half of the time to use it.
  const auto now = Clock::now();
  const Deadline wait_until = fallback ? now + (deadline - now) / 2 : deadline;
  const bool answered = state_->changed.wait_until(
      lock, wait_until, [&, before = state_->finished] { return state_->finished != before; });
  if (answered && state_->latest.ok()) return state_->latest;
  if (fallback) return state_->last_good;
  if (answered) return state_->latest;
  return absl::DeadlineExceededError(
      absl::StrCat("cannot resolve ", target_.host, ": the name service did not answer in time"));
}

}  // namespace okms
