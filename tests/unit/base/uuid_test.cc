// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/uuid.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace okms {
namespace {

constexpr char kCanonical[] = "0123abcd-4567-89ef-0123-456789abcdef";

TEST(ParseUuid, TakesTheFormsThatTheGoPluginTakes) {
  for (const std::string text : {
           "0123abcd-4567-89ef-0123-456789abcdef",
           "0123ABCD-4567-89EF-0123-456789ABCDEF",
           "0123aBcD-4567-89eF-0123-456789AbCdEf",
           "urn:uuid:0123abcd-4567-89ef-0123-456789abcdef",
           "URN:UUID:0123ABCD-4567-89EF-0123-456789ABCDEF",
           "uRn:UuId:0123abcd-4567-89ef-0123-456789abcdef",
           "{0123abcd-4567-89ef-0123-456789abcdef}",
           "{0123ABCD-4567-89EF-0123-456789ABCDEF}",
           "0123abcd456789ef0123456789abcdef",
           "0123ABCD456789EF0123456789ABCDEF",
       }) {
    EXPECT_EQ(ParseUuid(text), kCanonical) << text;
  }
}

TEST(ParseUuid, TakesAnyVersionAndVariant) {
  for (const std::string text :
       {"00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"}) {
    EXPECT_EQ(ParseUuid(text), text);
  }
}

TEST(ParseUuid, RefusesAllElse) {
  for (const std::string text : {
           "",
           "etcd",
           "0123abcd-4567-89ef-0123-456789abcde",
           "0123abcd-4567-89ef-0123-456789abcdef0",
           "0123abcg-4567-89ef-0123-456789abcdef",
           "0123abcd4567-89ef-0123-456789abcdef-",
           "0123abcd-456789ef0123456789abcdef",
           "0123abcd456789ef0123456789abcde",
           "0123abcd456789ef0123456789abcdeg",
           "0123abcd-456789ef-0123456789abcd",  // 32 characters, not all of them digits
           "0123abcd-4567-89ef-0123-456789abcde\xc3",
           " 0123abcd-4567-89ef-0123-456789abcdef",
           "0123abcd-4567-89ef-0123-456789abcdef\n",
           "0123abcd_4567_89ef_0123_456789abcdef",
           "{0123abcd-4567-89ef-0123-456789abcdef",
           "0123abcd-4567-89ef-0123-456789abcdef}",
           "{0123abcd-4567-89ef-0123-456789abcdef)",
           "(0123abcd-4567-89ef-0123-456789abcdef}",
           "(0123abcd-4567-89ef-0123-456789abcdef)",
           "\"0123abcd-4567-89ef-0123-456789abcdef\"",
           "{0123abcd456789ef0123456789abcdef}",
           "{}",
           "urn:uuid:",
           "urn:uuid:0123abcd456789ef0123456789abcdef",
           "urn:uuid:{0123abcd-4567-89ef-0123-456789abcdef}",
           "{urn:uuid:0123abcd-4567-89ef-0123-456789abcdef}",
           "urn:uuid:urn:uuid:0123abcd-4567-89ef-0123-456789abcdef",
           "uuid:0123abcd-4567-89ef-0123-456789abcdef",
           "urn.uuid:0123abcd-4567-89ef-0123-456789abcdef",
       }) {
    EXPECT_EQ(ParseUuid(text), std::nullopt) << text;
  }
}

TEST(ParseUuid, RefusesOneWrongCharacterAnywhere) {
  for (std::size_t i = 0; i < sizeof kCanonical - 1; ++i) {
    for (const char wrong : {'x', '\0', ' ', kCanonical[i] == '-' ? '0' : '-'}) {
      std::string text = kCanonical;
      text[i] = wrong;
      EXPECT_EQ(ParseUuid(text), std::nullopt) << text;
    }
  }
}

}  // namespace
}  // namespace okms
