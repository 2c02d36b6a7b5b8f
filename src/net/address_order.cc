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
  known_.With([&](const Known& known) {
    const auto place = [&](const Address& address) {
      const std::string text = address.ToString();
      if (text == known.last_good) return 0;
      const auto& silent = known.silent;
      return std::find(silent.begin(), silent.end(), text) == silent.end() ? 1 : 2;
    };
    std::stable_sort(addresses.begin(), addresses.end(),
                     [&](const Address& a, const Address& b) { return place(a) < place(b); });
  });
}

void AddressOrder::Answered(const Address& address) {
  known_.With([&](Known& known) {
    known.last_good = address.ToString();
    std::erase(known.silent, *known.last_good);
  });
}

void AddressOrder::Silent(const Address& address) {
  known_.With([&](Known& known) {
    const std::string text = address.ToString();
    if (known.last_good == text) known.last_good.reset();
    std::erase(known.silent, text);
    known.silent.push_back(text);
    if (known.silent.size() > kMaxSilent) known.silent.pop_front();
  });
}

}  // namespace okms
