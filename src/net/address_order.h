// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Which address of a host to try first.

#ifndef OKMS_NET_ADDRESS_ORDER_H_
#define OKMS_NET_ADDRESS_ORDER_H_

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "net/address.h"

namespace okms {

// Remembers how addresses did: the one that answered last comes first; those that were silent come
// last, however well they took the connection, so that a host that is dead behind its address costs
// one call. Nothing is left out: what was silent is tried again when the others fail. Of the
// I/O loop's turn, as all that asks it.
class AddressOrder {
 public:
  // Otherwise the order stays.
  void Sort(std::vector<Address>& addresses) const;

  // Something that was asked there was answered.
  void Answered(const Address& address);
  // Something that was asked there had no answer in time.
  void Silent(const Address& address);

 private:
  std::optional<std::string> last_good_;
  std::deque<std::string> silent_;
};

}  // namespace okms

#endif  // OKMS_NET_ADDRESS_ORDER_H_
