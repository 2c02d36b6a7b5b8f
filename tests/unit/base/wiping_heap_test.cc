// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Looks at freed blocks, which only a test of the heap itself may.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

#include "base/unique_fd.h"
#include "base/wiping_heap.h"

namespace okms {
namespace {

constexpr char kFill = 'S';

// How many bytes of the block that was at `address` are still as they were. Read by the kernel,
// since a program may not look at what it has freed. The first two words of it are glibc's.
std::size_t Left(std::uintptr_t address, std::size_t size) {
  std::vector<char> bytes(size);
  const UniqueFd memory(::open("/proc/self/mem", O_RDONLY | O_CLOEXEC));
  if (::pread(memory.get(), bytes.data(), size, static_cast<off_t>(address)) !=
      static_cast<ssize_t>(size)) {
    ADD_FAILURE() << "cannot read the memory";
  }
  return static_cast<std::size_t>(
      std::count(bytes.begin() + 2 * sizeof(void*), bytes.end(), kFill));
}

// Blocks of the per-thread cache, of the bins, and nearly those that come from mmap(2).
class WipingHeapTest : public ::testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(, WipingHeapTest,
                         ::testing::Values(24, 32, 100, 1000, 1032, 1033, 4096, 100'000));

TEST_P(WipingHeapTest, FreeWipes) {
  void* const keeps_the_top_away = std::malloc(GetParam());
  char* const block = static_cast<char*>(std::malloc(GetParam()));
  void* const and_below = std::malloc(GetParam());
  std::memset(block, kFill, GetParam());
  const auto address = reinterpret_cast<std::uintptr_t>(block);
  std::free(block);
  EXPECT_EQ(Left(address, GetParam()), 0u);
  std::free(and_below);
  std::free(keeps_the_top_away);
}

TEST_P(WipingHeapTest, DeleteWipes) {
  char* const block = static_cast<char*>(::operator new(GetParam()));
  void* const below = ::operator new(GetParam());
  std::memset(block, kFill, GetParam());
  const auto address = reinterpret_cast<std::uintptr_t>(block);
  ::operator delete(block);
  EXPECT_EQ(Left(address, GetParam()), 0u);
  ::operator delete(below);
}

TEST_P(WipingHeapTest, ReallocKeepsTheContentsAndWipesWhatItLeaves) {
  char* block = static_cast<char*>(std::malloc(GetParam()));
  void* const below = std::malloc(16);  // so that it cannot grow where it is
  std::memset(block, kFill, GetParam());
  const auto address = reinterpret_cast<std::uintptr_t>(block);
  block = static_cast<char*>(std::realloc(block, 3 * GetParam()));
  ASSERT_NE(reinterpret_cast<std::uintptr_t>(block), address);
  EXPECT_EQ(Left(address, GetParam()), 0u);
  for (std::size_t i = 0; i < GetParam(); ++i) ASSERT_EQ(block[i], kFill);
  block = static_cast<char*>(std::realloc(block, 8));  // shrinks
  EXPECT_EQ(block[7], kFill);
  std::free(block);
  std::free(below);
}

TEST(WipingHeapEdgeTest, IsWipedWithTheMallocOfTheCLibrary) { EXPECT_TRUE(HeapIsWiped()); }

TEST(WipingHeapEdgeTest, NothingIsFreedAndAllocated) {
  std::free(nullptr);
  void* const block = std::realloc(nullptr, 10);
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(std::realloc(block, 0), nullptr);
}

}  // namespace
}  // namespace okms
