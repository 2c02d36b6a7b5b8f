// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/key_id_hash.h"

#include <gtest/gtest.h>

namespace okms {
namespace {

// FIPS 180-2, appendix B.1.
TEST(KeyIdHashTest, IsThatOfTheApiserver) {
  EXPECT_EQ(KeyIdHash("abc"),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(KeyIdHashTest, NoKeyHasNone) { EXPECT_EQ(KeyIdHash(""), ""); }

}  // namespace
}  // namespace okms
