// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>

#include <cstring>

#include "absl/strings/str_cat.h"

namespace okms {
namespace {

TEST(Address, Ipv4) {
  const auto address = ParseAddress({"192.0.2.7", 5696});
  ASSERT_TRUE(address.has_value());
  EXPECT_EQ(address->ToString(), "192.0.2.7");
  EXPECT_EQ(address->size, sizeof(sockaddr_in));
  sockaddr_in in{};
  std::memcpy(&in, &address->storage, sizeof in);
  EXPECT_EQ(in.sin_family, AF_INET);
  EXPECT_EQ(ntohs(in.sin_port), 5696);
}

TEST(Address, ShortIpv4) {
  const auto address = ParseAddress({"127.1", 1});
  ASSERT_TRUE(address.has_value());
  EXPECT_EQ(address->ToString(), "127.0.0.1");
}

TEST(Address, Ipv6) {
  const auto address = ParseAddress({"2001:db8::7", 5696});
  ASSERT_TRUE(address.has_value());
  EXPECT_EQ(address->ToString(), "2001:db8::7");
  EXPECT_EQ(address->size, sizeof(sockaddr_in6));
  sockaddr_in6 in6{};
  std::memcpy(&in6, &address->storage, sizeof in6);
  EXPECT_EQ(in6.sin6_family, AF_INET6);
  EXPECT_EQ(ntohs(in6.sin6_port), 5696);
  EXPECT_EQ(in6.sin6_scope_id, 0U);
}

TEST(Address, Ipv6WithAZone) {
  const unsigned loopback = ::if_nametoindex("lo");
  for (const std::string& zone : {std::string("lo"), absl::StrCat(loopback)}) {
    const auto address = ParseAddress({absl::StrCat("fe80::1%", zone), 5696});
    ASSERT_TRUE(address.has_value()) << zone;
    EXPECT_EQ(address->ToString(), absl::StrCat("fe80::1%", loopback));
  }
}

TEST(Address, NamesAreNone) {
  for (const char* host : {"kms", "kms.example", "localhost", "1.2.3.4.5", "256.1.1.1", "fe80::1%",
                           "fe80::1%none", "::g", "%1", ""}) {
    EXPECT_FALSE(ParseAddress({host, 1}).has_value()) << host;
  }
}

TEST(Address, WithoutAFamilyIsAQuestionMark) { EXPECT_EQ(Address().ToString(), "?"); }

}  // namespace
}  // namespace okms
