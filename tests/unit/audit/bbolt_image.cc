// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "unit/audit/bbolt_image.h"

namespace okms::audit::test {
namespace {

constexpr std::size_t kHead = 16;
constexpr std::size_t kEntry = 16;
constexpr std::uint16_t kBranch = 1;
constexpr std::uint16_t kLeaf = 2;
constexpr std::uint16_t kMeta = 4;
constexpr std::uint16_t kFreelist = 16;

std::string Head(std::uint64_t id, std::uint16_t kind, std::size_t count, std::size_t overflow) {
  return Little(id, 8) + Little(kind, 2) + Little(count, 2) + Little(overflow, 4);
}

// A leaf's table, and what it points to.
std::string LeafContent(const std::vector<Element>& elements) {
  std::string table;
  std::string data;
  for (const Element& element : elements) {
    const std::size_t at = elements.size() * kEntry - table.size() + data.size();
    table += Little(element.is_bucket ? 1 : 0, 4) + Little(at, 4) + Little(element.key.size(), 4) +
             Little(element.value.size(), 4);
    data += element.key + element.value;
  }
  return table + data;
}

}  // namespace

std::string Little(std::uint64_t number, std::size_t size) {
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i) {
    bytes.push_back(static_cast<char>(number >> (8 * i) & 0xFF));
  }
  return bytes;
}

std::uint64_t BboltImage::AddPage(std::uint16_t kind, std::size_t count,
                                  const std::string& content) {
  const std::uint64_t id = next();
  const std::size_t pages = (kHead + content.size() + page_size_ - 1) / page_size_;
  bytes_ += Head(id, kind, count, pages - 1) + content;
  bytes_.resize(At(id) + pages * page_size_);
  return id;
}

std::uint64_t BboltImage::AddLeaf(const std::vector<Element>& elements) {
  return AddPage(kLeaf, elements.size(), LeafContent(elements));
}

std::uint64_t BboltImage::AddBranch(const std::vector<std::uint64_t>& children) {
  std::string table;
  for (const std::uint64_t child : children) {
    // All have the same key, which nobody reads who reads everything.
    table += Little(children.size() * kEntry - table.size(), 4) + Little(1, 4) + Little(child, 8);
  }
  return AddPage(kBranch, children.size(), table + "k");
}

std::uint64_t BboltImage::AddFreelist(const std::vector<std::uint64_t>& ids) {
  std::string list;
  for (const std::uint64_t id : ids) list += Little(id, 8);
  return AddPage(kFreelist, ids.size(), list);
}

std::uint64_t BboltImage::AddZeroes() {
  const std::uint64_t id = next();
  bytes_.resize(bytes_.size() + page_size_);
  return id;
}

const std::string& BboltImage::Finish(std::uint64_t root, std::uint64_t freelist) {
  WriteMeta(0, root, freelist, 8);
  WriteMeta(1, root, freelist, 7);
  return bytes_;
}

void BboltImage::WriteMeta(std::size_t which, std::uint64_t root, std::uint64_t freelist,
                           std::uint64_t transaction, std::uint32_t version) {
  std::string meta = Little(0xED0CDAED, 4) + Little(version, 4) + Little(page_size_, 4) +
                     Little(0, 4) + Little(root, 8) + Little(0, 8) + Little(freelist, 8) +
                     Little(next(), 8) + Little(transaction, 8);
  std::uint64_t hash = 0xCBF29CE484222325;
  for (const char c : meta) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  meta = Head(which, kMeta, 0, 0) + meta + Little(hash, 8);
  bytes_.replace(which * page_size_, meta.size(), meta);
}

std::string LeafBytes(std::uint64_t id, const std::vector<Element>& elements,
                      std::uint32_t overflow) {
  return Head(id, kLeaf, elements.size(), overflow) + LeafContent(elements);
}

Element SubBucket(const std::string& name, std::uint64_t root) {
  return {name, Little(root, 8) + Little(0, 8), true};
}

Element InlineBucket(const std::string& name, const std::vector<Element>& elements) {
  return {name, Little(0, 16) + LeafBytes(0, elements), true};
}

}  // namespace okms::audit::test
