// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/key_info.h"

#include <gtest/gtest.h>

namespace okms {
namespace {

KeyInfo Fit() {
  return {.symmetric = {{true, ""}},
          .active = {{true, ""}},
          .aes = {{true, ""}},
          .bits = 256,
          .encrypts = {{true, ""}},
          .decrypts = {{true, ""}},
          .labels = {{"etcd", "etcd-2"}}};
}

TEST(KeyInfoTest, WhatIsHiddenIsNotHeldAgainstAKey) {
  EXPECT_EQ(WhyUnfit(KeyInfo()), "");
  EXPECT_FALSE(IsSeenActive(KeyInfo()));
  EXPECT_FALSE(ShowsLabel(KeyInfo(), "etcd"));
}

TEST(KeyInfoTest, AKeyThatIsFit) {
  for (const int bits : {128, 192, 256}) {
    KeyInfo key = Fit();
    key.bits = bits;
    EXPECT_EQ(WhyUnfit(key), "") << bits;
  }
  EXPECT_TRUE(IsSeenActive(Fit()));
  EXPECT_TRUE(ShowsLabel(Fit(), "etcd-2"));
  EXPECT_FALSE(ShowsLabel(Fit(), "etc"));
}

// From the last reason to the first: each one hides those after it.
TEST(KeyInfoTest, TheFirstThatIsWrongIsSaid) {
  KeyInfo key = Fit();
  key.decrypts = {false, "decrypt"};
  EXPECT_EQ(WhyUnfit(key), "may not decrypt");
  key.encrypts = {false, "encrypt"};
  EXPECT_EQ(WhyUnfit(key), "may not encrypt");
  key.bits = 255;
  EXPECT_EQ(WhyUnfit(key), "has 255 bits; AES has 128, 192 or 256");
  key.aes = {false, "algorithm 2"};
  EXPECT_EQ(WhyUnfit(key), "is not an AES key (algorithm 2)");
  key.active = {false, "Destroyed, not Active"};
  EXPECT_EQ(WhyUnfit(key), "is in state Destroyed, not Active");
  EXPECT_FALSE(IsSeenActive(key));
  key.symmetric = {false, "object type 1"};
  EXPECT_EQ(WhyUnfit(key), "is no symmetric key (object type 1)");
}

}  // namespace
}  // namespace okms
