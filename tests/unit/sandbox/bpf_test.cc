// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "unit/sandbox/bpf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>

#include "support/status_is.h"

namespace okms::test {
namespace {

using Code = absl::StatusCode;
using ::testing::_;

constexpr sock_filter kReturnA = BPF_STMT(BPF_RET | BPF_K, 0xA);
constexpr sock_filter kReturnB = BPF_STMT(BPF_RET | BPF_K, 0xB);
constexpr sock_filter kLoadNumber = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));

seccomp_data Numbered(int number) {
  seccomp_data call{};
  call.nr = number;
  return call;
}

// What a jump with this code and operand 5 leads to: A if it jumps.
absl::StatusOr<uint32_t> Jump(uint16_t code, int number) {
  return RunFilter({kLoadNumber, sock_filter BPF_JUMP(code, 5, 1, 0), kReturnB, kReturnA},
                   Numbered(number));
}

TEST(RunFilter, Returns) { EXPECT_EQ(*RunFilter({kReturnA, kReturnB}, {}), 0xAU); }

TEST(RunFilter, Compares) {
  for (const int number : {4, 5, 6, -1}) {
    const auto compared = static_cast<uint32_t>(number);
    EXPECT_EQ(*Jump(BPF_JMP | BPF_JEQ | BPF_K, number), compared == 5 ? 0xAU : 0xBU);
    EXPECT_EQ(*Jump(BPF_JMP | BPF_JGT | BPF_K, number), compared > 5 ? 0xAU : 0xBU);
    EXPECT_EQ(*Jump(BPF_JMP | BPF_JGE | BPF_K, number), compared >= 5 ? 0xAU : 0xBU);
  }
}

TEST(RunFilter, Masks) {
  const sock_filter mask = BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xF0);
  const sock_filter compare = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x50, 1, 0);
  EXPECT_EQ(*RunFilter({kLoadNumber, mask, compare, kReturnB, kReturnA}, Numbered(0x15F)), 0xAU);
  EXPECT_EQ(*RunFilter({kLoadNumber, mask, compare, kReturnB, kReturnA}, Numbered(0x16F)), 0xBU);
}

TEST(RunFilter, JumpsAlways) {
  EXPECT_EQ(*RunFilter({sock_filter BPF_STMT(BPF_JMP | BPF_JA, 1), kReturnB, kReturnA}, {}), 0xAU);
}

TEST(RunFilter, LoadsTheHalvesOfAnArgument) {
  seccomp_data call{};
  call.args[5] = 0x0000000A'00000005;
  const auto loads = [&](uint32_t offset, uint32_t value) {
    return *RunFilter(
               {sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset),
                sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0), kReturnB, kReturnA},
               call) == 0xA;
  };
  const auto at = static_cast<uint32_t>(offsetof(seccomp_data, args) + 5 * sizeof(uint64_t));
  EXPECT_TRUE(loads(at, 5));
  EXPECT_TRUE(loads(at + 4, 0xA));
}

TEST(RunFilter, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(RunFilter({sock_filter BPF_STMT(BPF_ALU | BPF_NEG, 0), kReturnA}, {}),
              StatusIs(Code::kUnimplemented, _));
}

TEST(RunFilter, StaysWithinWhatThereIs) {
  EXPECT_THAT(RunFilter({}, {}), StatusIs(Code::kOutOfRange, _));
  EXPECT_THAT(RunFilter({kLoadNumber}, {}), StatusIs(Code::kOutOfRange, _));
  EXPECT_THAT(RunFilter({sock_filter BPF_STMT(BPF_JMP | BPF_JA, 9), kReturnA}, {}),
              StatusIs(Code::kOutOfRange, _));
  for (const uint32_t offset : {2U, static_cast<uint32_t>(sizeof(seccomp_data))}) {
    EXPECT_THAT(RunFilter({sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset), kReturnA}, {}),
                StatusIs(Code::kOutOfRange, _));
  }
}

}  // namespace
}  // namespace okms::test
