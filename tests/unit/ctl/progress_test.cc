// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "ctl/progress.h"

#include <gtest/gtest.h>

namespace okms::ctl {
namespace {

TEST(ProgressLineTest, SaysHowFarItIs) {
  EXPECT_EQ(ProgressLine(1200, 5000, 2), "1200 of 5000 values, 600 a second, 7 s left");
  EXPECT_EQ(ProgressLine(5000, 5000, 2), "5000 of 5000 values, 2500 a second, 0 s left");
  EXPECT_EQ(ProgressLine(1200, 0, 2), "1200 values, 600 a second");
  EXPECT_EQ(ProgressLine(6000, 5000, 2), "6000 values, 3000 a second") << "old ones come on top";
  EXPECT_EQ(ProgressLine(0, 5000, 0), "0 of 5000 values, 0 a second");
}

}  // namespace
}  // namespace okms::ctl
