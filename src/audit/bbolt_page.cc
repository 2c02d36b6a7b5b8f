// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/bbolt_page.h"

#include <boost/endian/conversion.hpp>

namespace okms::audit {
namespace {

using boost::endian::load_little_u16;
using boost::endian::load_little_u32;
using boost::endian::load_little_u64;

constexpr std::size_t kElement = 16;  // of either table
constexpr std::uint32_t kBucket = 0x01;

// Where the tables' entries begin, if there is all of it.
const std::uint8_t* Entry(ByteView page, std::size_t index) {
  const std::size_t begin = kPageHead + index * kElement;
  return begin + kElement <= page.size() ? page.data() + begin : nullptr;
}

}  // namespace

PageHead ReadHead(ByteView page) {
  return {load_little_u64(page.data()), load_little_u16(page.data() + 8),
          load_little_u16(page.data() + 10), load_little_u32(page.data() + 12)};
}

bool IsHeadOf(const PageHead& head, std::uint64_t id) {
  return head.id == id && (head.kind == kBranchPage || head.kind == kLeafPage ||
                           head.kind == kMetaPage || head.kind == kFreelistPage);
}

std::vector<LeafElement> LeafElements(ByteView page) {
  const std::size_t count = ReadHead(page).count;
  std::vector<LeafElement> elements;
  // 64 bits hold any sum of what is read, each of 32.
  std::uint64_t free = kPageHead + count * kElement;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* const entry = Entry(page, i);
    if (entry == nullptr) break;
    const std::uint64_t key = kPageHead + i * kElement + load_little_u32(entry + 4);
    const std::uint64_t value = key + load_little_u32(entry + 8);
    const std::uint64_t end = value + load_little_u32(entry + 12);
    if (key < free || value == key || end > page.size()) break;
    elements.push_back({(load_little_u32(entry) & kBucket) != 0, page.subspan(key, value - key),
                        page.subspan(value, end - value)});
    free = end;
  }
  return elements;
}

std::vector<std::uint64_t> BranchChildren(ByteView page) {
  const std::size_t count = ReadHead(page).count;
  std::vector<std::uint64_t> children;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* const entry = Entry(page, i);
    if (entry == nullptr) break;
    children.push_back(load_little_u64(entry + 8));
  }
  return children;
}

}  // namespace okms::audit
