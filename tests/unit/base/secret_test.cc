// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/secret.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <concepts>
#include <cstdlib>
#include <new>
#include <ostream>
#include <string>
#include <type_traits>
#include <utility>

namespace {

// Looks at one block at the moment when it is given back: the memory is still ours there.
struct FreedBlock {
  const void* watched = nullptr;
  std::size_t size = 0;
  bool freed = false;
  bool all_zero = false;

  void Watch(const void* block, std::size_t block_size) {
    *this = {};
    watched = block;
    size = block_size;
  }
  void Freeing(const void* block) {
    if (block == nullptr || block != watched) return;
    const auto* bytes = static_cast<const unsigned char*>(block);
    freed = true;
    all_zero = std::all_of(bytes, bytes + size, [](unsigned char b) { return b == 0; });
    watched = nullptr;
  }
};

thread_local FreedBlock freed_block;

}  // namespace

// Replaced for this whole program, in pairs.
void* operator new(std::size_t size) {
  if (void* block = std::malloc(size == 0 ? 1 : size)) return block;
  throw std::bad_alloc();
}
void operator delete(void* block) noexcept {
  freed_block.Freeing(block);
  std::free(block);
}
void operator delete(void* block, std::size_t) noexcept {
  freed_block.Freeing(block);
  std::free(block);
}

namespace okms {
namespace {

template <typename T>
concept Streamable = requires(std::ostream& out, const T& value) {
  out << value;
};

static_assert(!std::is_copy_constructible_v<Secret>);
static_assert(!std::is_copy_assignable_v<Secret>);
static_assert(std::is_nothrow_move_constructible_v<Secret>);
static_assert(std::is_move_assignable_v<Secret>);
static_assert(!Streamable<Secret>);
static_assert(!std::convertible_to<Secret, std::string>);
static_assert(!std::convertible_to<ByteView, Secret>);
static_assert(!std::equality_comparable<Secret>);

TEST(Secret, RevealsWhatItWasMadeOf) {
  const Secret secret(AsBytes("key material"));
  EXPECT_EQ(AsText(secret.Reveal()), "key material");
  EXPECT_EQ(secret.size(), 12u);
  EXPECT_EQ(Secret().size(), 0u);
}

TEST(Secret, MovesItsBytes) {
  Secret from(AsBytes("moved"));
  const uint8_t* bytes = from.Reveal().data();
  const Secret to = std::move(from);
  EXPECT_EQ(to.Reveal().data(), bytes);
  EXPECT_EQ(AsText(to.Reveal()), "moved");
}

TEST(Secret, EqualsComparesSizeAndBytes) {
  const auto secret = [](absl::string_view text) { return Secret(AsBytes(text)); };
  EXPECT_TRUE(secret("abc").Equals(secret("abc")));
  EXPECT_FALSE(secret("abc").Equals(secret("abd")));
  EXPECT_FALSE(secret("abc").Equals(secret("bbc")));
  EXPECT_FALSE(secret("abc").Equals(secret("abcd")));
  EXPECT_FALSE(secret("abc").Equals(Secret()));
  EXPECT_TRUE(Secret().Equals(Secret()));
}

TEST(Secret, IsWipedBeforeItsMemoryIsGivenBack) {
  {
    const Secret secret(AsBytes("0123456789abcdef"));
    freed_block.Watch(secret.Reveal().data(), secret.size());
  }
  EXPECT_TRUE(freed_block.freed);
  EXPECT_TRUE(freed_block.all_zero);
}

TEST(Secret, IsWipedWhenItIsAssignedTo) {
  Secret secret(AsBytes("0123456789abcdef"));
  freed_block.Watch(secret.Reveal().data(), secret.size());
  secret = Secret(AsBytes("another"));
  EXPECT_TRUE(freed_block.freed);
  EXPECT_TRUE(freed_block.all_zero);
}

TEST(WipedBytes, AreWipedWhenTheyGrowOutOfABlock) {
  WipedBytes bytes(16, 0xAA);
  bytes.shrink_to_fit();
  freed_block.Watch(bytes.data(), bytes.size());
  bytes.resize(4096, 0xBB);
  EXPECT_TRUE(freed_block.freed);
  EXPECT_TRUE(freed_block.all_zero);
  EXPECT_EQ(bytes[15], 0xAA);
}

// The watch itself: an ordinary vector must be seen to leave its bytes behind.
TEST(WipedBytes, AnOrdinaryVectorIsNotWiped) {
  {
    std::vector<uint8_t> bytes(16, 0xAA);
    freed_block.Watch(bytes.data(), bytes.size());
  }
  EXPECT_TRUE(freed_block.freed);
  EXPECT_FALSE(freed_block.all_zero);
}

TEST(Wipe, LeavesZerosInTheSameBlock) {
  for (const std::string text : {"short", "one that is too long to lie within the string itself"}) {
    std::string copy = text;
    const char* bytes = copy.data();
    Wipe(copy);
    EXPECT_EQ(copy.data(), bytes);
    EXPECT_EQ(copy, std::string(text.size(), '\0'));
  }
  std::string empty;
  Wipe(empty);
  EXPECT_EQ(empty, "");
}

TEST(Views, AreOfTheSameBytes) {
  const std::string text = "\x00\xff text";
  EXPECT_EQ(static_cast<const void*>(AsBytes(text).data()), text.data());
  EXPECT_EQ(AsText(AsBytes(text)), absl::string_view(text));
}

}  // namespace
}  // namespace okms
