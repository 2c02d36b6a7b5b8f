// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/unix_address.h"

#include <gtest/gtest.h>

#include <string>

namespace okms {
namespace {

// What is in sun_path, as far as the size goes.
std::string NameOf(const UnixAddress& address) {
  const auto& unix_address = *reinterpret_cast<const sockaddr_un*>(address.get());
  EXPECT_EQ(unix_address.sun_family, AF_UNIX);
  return {unix_address.sun_path, address.size() - offsetof(sockaddr_un, sun_path)};
}

TEST(UnixAddressTest, APathEndsWithANul) {
  EXPECT_EQ(NameOf(*UnixAddress::Of("/run/kms")), std::string("/run/kms\0", 9));
}

TEST(UnixAddressTest, AnAbstractNameBeginsWithOne) {
  EXPECT_EQ(NameOf(*UnixAddress::Of("@kms")), std::string("\0kms", 4));
}

TEST(UnixAddressTest, TakesAsMuchAsThereIsRoomFor) {
  EXPECT_TRUE(UnixAddress::Of("/" + std::string(106, 'a')));
  EXPECT_FALSE(UnixAddress::Of("/" + std::string(107, 'a')));
  EXPECT_TRUE(UnixAddress::Of("@" + std::string(107, 'a')));
  EXPECT_FALSE(UnixAddress::Of("@" + std::string(108, 'a')));
}

}  // namespace
}  // namespace okms
