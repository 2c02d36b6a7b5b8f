// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/other_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace okms {
namespace {

TEST(OtherKeysTest, TheFirstOfEachKeyIsToldAnewWhenAnotherOneIsInUse) {
  OtherKeys keys;
  EXPECT_TRUE(keys.Count("a", "c"));
  EXPECT_FALSE(keys.Count("a", "c"));
  EXPECT_TRUE(keys.Count("b", "c"));
  EXPECT_TRUE(keys.Count("a", "d"));
  EXPECT_FALSE(keys.Count("a", "d"));
  EXPECT_THAT(keys.counts().by_key,
              testing::ElementsAre(testing::Pair("a", 4U), testing::Pair("b", 1U)));
}

TEST(OtherKeysTest, TheSummaryCountsDecryptsAndKeys) {
  OtherKeys keys;
  EXPECT_EQ(keys.counts().Summary("c"), "");
  keys.Count("a", "c");
  EXPECT_EQ(keys.counts().Summary("c"), "1 Decrypt under 1 other key");
  keys.Count("b", "c");
  keys.Count("b", "c");
  EXPECT_EQ(keys.counts().Summary("c"), "3 Decrypts under 2 other keys");
}

// Another control plane's plugin may adopt a key first.
TEST(OtherKeysTest, AKeyThatHasComeIntoUseIsNoOtherOne) {
  OtherKeys keys;
  keys.Count("b", "a");
  EXPECT_EQ(keys.counts().Summary("b"), "");
  keys.Count("a", "b");
  EXPECT_EQ(keys.counts().Summary("b"), "1 Decrypt under 1 other key");
}

TEST(OtherKeysTest, WhateverKeysComeItIsBounded) {
  OtherKeys keys;
  int told = 0;
  for (int i = 0; i < 1000; ++i) told += keys.Count(absl::StrCat("key-", i), "in use") ? 1 : 0;
  EXPECT_EQ(keys.counts().by_key.size(), OtherKeys::kMostKeys);
  EXPECT_EQ(keys.counts().rest, 1000 - OtherKeys::kMostKeys);
  EXPECT_EQ(told, OtherKeys::kMostKeys + 1);
  EXPECT_EQ(keys.counts().Summary("in use"), "1000 Decrypts under more than 64 other keys");
}

}  // namespace
}  // namespace okms
