// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/address_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace okms {
namespace {

using ::testing::ElementsAre;

Address Ip(const std::string& ip) { return ParseAddress({ip, 5696}).value(); }

class AddressOrderTest : public ::testing::Test {
 protected:
  std::vector<std::string> Sorted(const std::vector<std::string>& ips = {"10.0.0.1", "10.0.0.2",
                                                                         "2001:db8::3"}) const {
    std::vector<Address> addresses;
    for (const std::string& ip : ips) addresses.push_back(Ip(ip));
    order_.Sort(addresses);
    std::vector<std::string> sorted;
    for (const Address& address : addresses) sorted.push_back(address.ToString());
    return sorted;
  }
  AddressOrder order_;
};

TEST_F(AddressOrderTest, OfTheUnknownStays) {
  EXPECT_THAT(Sorted(), ElementsAre("10.0.0.1", "10.0.0.2", "2001:db8::3"));
}

TEST_F(AddressOrderTest, WhatAnsweredLastComesFirst) {
  order_.Answered(Ip("10.0.0.2"));
  order_.Answered(Ip("2001:db8::3"));
  EXPECT_THAT(Sorted(), ElementsAre("2001:db8::3", "10.0.0.1", "10.0.0.2"));
}

TEST_F(AddressOrderTest, WhatWasSilentComesLastAndIsNotLeftOut) {
  order_.Silent(Ip("10.0.0.1"));
  EXPECT_THAT(Sorted(), ElementsAre("10.0.0.2", "2001:db8::3", "10.0.0.1"));
  order_.Silent(Ip("2001:db8::3"));
  EXPECT_THAT(Sorted(), ElementsAre("10.0.0.2", "10.0.0.1", "2001:db8::3"));
  EXPECT_THAT(Sorted({"10.0.0.1"}), ElementsAre("10.0.0.1"));
}

TEST_F(AddressOrderTest, TheLastThatIsKnownCounts) {
  order_.Answered(Ip("10.0.0.2"));
  order_.Silent(Ip("10.0.0.2"));
  EXPECT_THAT(Sorted(), ElementsAre("10.0.0.1", "2001:db8::3", "10.0.0.2"));
  order_.Answered(Ip("10.0.0.2"));
  EXPECT_THAT(Sorted(), ElementsAre("10.0.0.2", "10.0.0.1", "2001:db8::3"));
  order_.Answered(Ip("10.0.0.1"));
  EXPECT_THAT(Sorted({"2001:db8::3", "10.0.0.2", "10.0.0.1"}),
              ElementsAre("10.0.0.1", "2001:db8::3", "10.0.0.2"));
}

// A name may lead to others each time.
TEST_F(AddressOrderTest, FewAreRemembered) {
  for (int i = 1; i <= 17; ++i) order_.Silent(Ip(absl::StrCat("10.0.1.", i)));
  EXPECT_THAT(Sorted({"10.0.1.2", "10.0.1.1", "10.0.0.1"}),
              ElementsAre("10.0.1.1", "10.0.0.1", "10.0.1.2"));
}

}  // namespace
}  // namespace okms
