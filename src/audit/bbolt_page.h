// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A page of bbolt's (go.etcd.io/bbolt, internal/common/page.go): a head, a table of elements, and
// what they point to. Nothing in it is trusted.

#ifndef OKMS_AUDIT_BBOLT_PAGE_H_
#define OKMS_AUDIT_BBOLT_PAGE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/secret.h"

namespace okms::audit {

constexpr std::size_t kPageHead = 16;

enum PageKind : std::uint16_t {
  kBranchPage = 0x01,
  kLeafPage = 0x02,
  kMetaPage = 0x04,
  kFreelistPage = 0x10,
};

struct PageHead {
  std::uint64_t id = 0;  // its number, counted from the beginning of the file
  std::uint16_t kind = 0;
  std::uint16_t count = 0;     // of elements
  std::uint32_t overflow = 0;  // how many pages belong to it besides, without heads of their own
};

struct LeafElement {
  bool is_bucket = false;
  ByteView key;
  ByteView value;
};

// Of kPageHead bytes at least.
PageHead ReadHead(ByteView page);

// Whether a page of this number has been written here. In the middle of a run there is a piece of
// somebody's value.
bool IsHeadOf(const PageHead& head, std::uint64_t id);

// The elements of a leaf that lie within `page`, the ones before the first that does not: as many
// as its head says, in a sound page. bbolt writes them one behind the other; none shares a byte.
std::vector<LeafElement> LeafElements(ByteView page);

// Which pages are below a branch; as above.
std::vector<std::uint64_t> BranchChildren(ByteView page);

}  // namespace okms::audit

#endif  // OKMS_AUDIT_BBOLT_PAGE_H_
