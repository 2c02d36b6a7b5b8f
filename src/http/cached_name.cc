// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "http/cached_name.h"

#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/debug.h"

namespace okms::http {
namespace {

constexpr std::chrono::seconds kCounts{60};
constexpr std::chrono::seconds kPause{1};  // between look-ups of a name that is known

}  // namespace

CachedName::CachedName(HostPort target, std::string name_servers)
    : target_(std::move(target)), name_servers_(std::move(name_servers)) {
  if (const std::optional<Address> address = ParseAddress(target_)) {
    is_address_ = true;
    addresses_.push_back(*address);
  }
}

void CachedName::Refresh() {
  if (is_address_ || lookup_ != nullptr) return;
  if (!known() || Clock::now() >= next_) Begin();
}

void CachedName::Suspect() {
  if (known()) next_ = std::min(next_, begun_ + kPause);
  Refresh();
}

void CachedName::Process() {
  if (lookup_ == nullptr) return;
  lookup_->Process();
  TakeResult();
}

void CachedName::Begin() {
  begun_ = Clock::now();
  lookup_ = std::make_unique<Lookup>(target_, name_servers_);
  TakeResult();
}

void CachedName::TakeResult() {
  if (!lookup_->done()) return;
  const Lookup::Result& result = lookup_->result();
  if (result.ok()) {
    addresses_ = *result;
    Debug([this] { return absl::StrCat(target_.host, ": found at ", Listed(addresses_)); });
    next_ = Clock::now() + kCounts;
  } else {
    error_ = result.status();
    Debug([this] { return std::string(error_.message()); });
    next_ = Clock::now() + kPause;
  }
  lookup_.reset();
}

}  // namespace okms::http
