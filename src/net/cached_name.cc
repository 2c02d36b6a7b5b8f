// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/cached_name.h"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/debug.h"

namespace okms {
namespace {

constexpr std::chrono::seconds kCounts{60};
constexpr std::chrono::seconds kPause{1};  // between look-ups of a name that is known

}  // namespace

CachedName::CachedName(IoLoop& loop, HostPort target, Traffic& traffic, std::string name_servers)
    : loop_(loop),
      target_(std::move(target)),
      traffic_(traffic),
      name_servers_(std::move(name_servers)) {
  if (const std::optional<Address> address = ParseAddress(target_)) {
    is_address_ = true;
    addresses_.push_back(*address);
  }
}

void CachedName::Refresh() {
  if (is_address_ || looking()) return;
  if (!known() || Clock::now() >= next_) Begin();
}

void CachedName::Suspect() {
  if (known()) next_ = std::min(next_, begun_ + kPause);
  Refresh();
}

void CachedName::Begin() {
  begun_ = Clock::now();
  lookup_ = std::make_unique<Lookup>(target_, name_servers_);
  Wait();
}

void CachedName::Wait() {
  for (const pollfd& each : lookup_->Descriptors()) {
    auto watch = loop_.OnReady(each.fd, each.events, [this](short) { GoOn(); });
    // One that cannot be watched is looked at when its time is over.
    if (watch.ok()) watches_.push_back(*std::move(watch));
  }
  // What /etc/hosts says is known at once, but not told from within Refresh.
  timer_ = loop_.At(lookup_->done() ? begun_ : lookup_->NextTime(), [this] { GoOn(); });
}

void CachedName::GoOn() {
  // All of them: c-ares closes descriptors and opens others, perhaps by the same number.
  watches_.clear();
  lookup_->Process();
  if (!lookup_->done()) return Wait();
  TakeResult();
  told_();
}

void CachedName::TakeResult() {
  timer_.Stop();
  const std::unique_ptr<Lookup> lookup = std::move(lookup_);
  const Lookup::Result& result = lookup->result();
  if (result.ok()) {
    addresses_ = *result;
    traffic_.resolve.took.Add(Clock::now() - begun_);
    Debug([this] { return absl::StrCat(target_.host, ": found at ", Listed(addresses_)); });
    next_ = Clock::now() + kCounts;
  } else {
    error_ = result.status();
    traffic_.resolve.failed.Add();
    Debug([this] { return std::string(error_.message()); });
    next_ = Clock::now() + kPause;
  }
}

}  // namespace okms
