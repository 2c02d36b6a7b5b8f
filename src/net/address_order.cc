// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/address_order.h"

#include <algorithm>

namespace okms {
namespace {

// A name's addresses may be others each time.
constexpr std::size_t kMaxSilent = 16;

}  // namespace

void AddressOrder::Sort(std::vector<Address>& addresses) const {
  const auto place = [this](const Address& address) {
    const std::string text = address.ToString();
    if (text == last_good_) return 0;
    return std::find(silent_.begin(), silent_.end(), text) == silent_.end() ? 1 : 2;
  };
  std::stable_sort(addresses.begin(), addresses.end(),
                   [&](const Address& a, const Address& b) { return place(a) < place(b); });
}

void AddressOrder::Answered(const Address& address) {
  last_good_ = address.ToString();
  std::erase(silent_, *last_good_);
}

void AddressOrder::Silent(const Address& address) {
  const std::string text = address.ToString();
  if (last_good_ == text) last_good_.reset();
  std::erase(silent_, text);
  silent_.push_back(text);
  if (silent_.size() > kMaxSilent) silent_.pop_front();
}

}  // namespace okms
