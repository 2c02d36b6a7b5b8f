// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "config/nearest.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace okms {
namespace {

const std::vector<std::string> kNames{"--sock", "--sock-group", "--timeout", "--client-key",
                                      "--client-cert"};

TEST(Nearest, OneSlipOrTwo) {
  EXPECT_EQ(Nearest("--sokc", kNames), "--sock");       // swapped
  EXPECT_EQ(Nearest("--socket", kNames), "--sock");     // too many
  EXPECT_EQ(Nearest("--tmeout", kNames), "--timeout");  // missing
  EXPECT_EQ(Nearest("--time-out", kNames), "--timeout");
  EXPECT_EQ(Nearest("--cliemt-key", kNames), "--client-key");  // wrong
  EXPECT_EQ(Nearest("--sock", kNames), "--sock");
}

TEST(Nearest, AnotherWordIsNone) {
  EXPECT_EQ(Nearest("--verbose", kNames), "");
  EXPECT_EQ(Nearest("", kNames), "");
  EXPECT_EQ(Nearest("--sock", {}), "");
  EXPECT_EQ(Nearest("--sock" + std::string(100'000, 'x'), kNames), "");
}

}  // namespace
}  // namespace okms
