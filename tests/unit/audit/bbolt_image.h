// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Writes bbolt's files, right and wrong ones, page by page.

#ifndef OKMS_TESTS_UNIT_AUDIT_BBOLT_IMAGE_H_
#define OKMS_TESTS_UNIT_AUDIT_BBOLT_IMAGE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace okms::audit::test {

struct Element {
  std::string key;
  std::string value;
  bool is_bucket = false;
};

// A number of `size` bytes, the least significant one first.
std::string Little(std::uint64_t number, std::size_t size);

class BboltImage {
 public:
  // Two pages for the metas.
  explicit BboltImage(std::size_t page_size = 1024)
      : page_size_(page_size), bytes_(2 * page_size, '\0') {}

  // Each appends a page, with as much overflow as it takes, and returns its number.
  std::uint64_t AddLeaf(const std::vector<Element>& elements);
  std::uint64_t AddBranch(const std::vector<std::uint64_t>& children);
  std::uint64_t AddFreelist(const std::vector<std::uint64_t>& ids);
  std::uint64_t AddZeroes();

  std::uint64_t next() const { return bytes_.size() / page_size_; }
  // Where a page begins in bytes().
  std::size_t At(std::uint64_t id) const { return id * page_size_; }
  // To be written over.
  std::string& bytes() { return bytes_; }

  // Both metas, of transactions 7 and 8, and what the file is now.
  const std::string& Finish(std::uint64_t root, std::uint64_t freelist = ~std::uint64_t{0});
  // One of them; `which` is 0 or 1.
  void WriteMeta(std::size_t which, std::uint64_t root, std::uint64_t freelist,
                 std::uint64_t transaction, std::uint32_t version = 2);

 private:
  std::uint64_t AddPage(std::uint16_t kind, std::size_t count, const std::string& content);

  std::size_t page_size_;
  std::string bytes_;
};

// What a leaf's page is from its head on, without padding.
std::string LeafBytes(std::uint64_t id, const std::vector<Element>& elements,
                      std::uint32_t overflow = 0);
// Of a bucket with a page of its own, and of one that has its elements within.
Element SubBucket(const std::string& name, std::uint64_t root);
Element InlineBucket(const std::string& name, const std::vector<Element>& elements);

}  // namespace okms::audit::test

#endif  // OKMS_TESTS_UNIT_AUDIT_BBOLT_IMAGE_H_
