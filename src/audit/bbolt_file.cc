// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/bbolt_file.h"

#include <cstddef>
#include <span>
#include <utility>

#include <boost/endian/conversion.hpp>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace okms::audit {
namespace {

constexpr std::size_t kBucketHead = 16;  // its root and a counter
// A page of 1 KiB has 2 elements at least: that is 2^32 of them.
constexpr int kDeepest = 32;

}  // namespace

absl::StatusOr<BboltFile> BboltFile::Open(SnapshotFile file) {
  OKMS_ASSIGN_OR_RETURN(const BboltMeta meta, ReadMeta(file));
  return BboltFile(std::move(file), meta);
}

absl::StatusOr<PageSet> BboltFile::FixedPages() const {
  PageSet used(page_count());
  used[0] = used[1] = true;
  if (meta_.freelist != kNoFreelist) {
    OKMS_ASSIGN_OR_RETURN(const WipedBytes list, ReadRun(meta_.freelist, used));
    if (ReadHead(list).kind != kFreelistPage) {
      return DamagedPage(meta_.freelist, "is not the list of free pages");
    }
  }
  return used;
}

absl::StatusOr<Bucket> BboltFile::SubBucket(const LeafElement& element) const {
  if (!element.is_bucket || element.value.size() < kBucketHead) {
    return file_.Damaged("a bucket without a root");
  }
  Bucket bucket{boost::endian::load_little_u64(element.value.data()), {}};
  if (bucket.root != 0) return bucket;
  const ByteView page = element.value.subspan(kBucketHead);
  if (page.size() < kPageHead) return file_.Damaged("a bucket without a page");
  bucket.inline_page.assign(page.begin(), page.end());
  return bucket;
}

absl::Status BboltFile::Walk(const Bucket& bucket, PageSet& used, OnElement on_element) const {
  if (bucket.root != 0) return Visit(bucket.root, 0, used, on_element);
  if (ReadHead(bucket.inline_page).kind != kLeafPage) {
    return file_.Damaged("a bucket's own page is no leaf");
  }
  return VisitLeaf(bucket.inline_page, 0, on_element);
}

absl::Status BboltFile::MarkAll(const Bucket& bucket, PageSet& used) const {
  struct Inner {
    std::uint64_t root;
    int depth;
  };
  std::vector<Inner> inner;  // those to come: no page is kept meanwhile
  int depth = 0;
  const auto no_bucket = [&](const LeafElement& element) {
    return element.is_bucket ? file_.Damaged("a bucket within another's own page")
                             : absl::OkStatus();
  };
  const auto collect = [&](const LeafElement& element) -> absl::Status {
    if (!element.is_bucket) return absl::OkStatus();
    OKMS_ASSIGN_OR_RETURN(const Bucket found, SubBucket(element));
    if (found.root == 0) return Walk(found, used, no_bucket);
    if (inner.size() >= page_count()) return file_.Damaged("more buckets than pages");
    inner.push_back({found.root, depth + 1});
    return absl::OkStatus();
  };
  OKMS_RETURN_IF_ERROR(Walk(bucket, used, collect));
  while (!inner.empty()) {
    const Inner next = inner.back();
    inner.pop_back();
    depth = next.depth;
    if (depth > kDeepest) return file_.Damaged("buckets are nested too deeply");
    OKMS_RETURN_IF_ERROR(Visit(next.root, 0, used, collect));
  }
  return absl::OkStatus();
}

absl::StatusOr<WipedBytes> BboltFile::ReadRun(std::uint64_t id, PageSet& used) const {
  if (id < 2 || id >= meta_.page_count) return DamagedPage(id, "is not in the file");
  WipedBytes bytes(page_size());
  OKMS_RETURN_IF_ERROR(file_.Read(id * page_size(), bytes));
  const PageHead head = ReadHead(bytes);
  if (!IsHeadOf(head, id)) return DamagedPage(id, "has a head that does not fit");
  const std::uint64_t pages = std::uint64_t{head.overflow} + 1;
  if (pages > meta_.page_count - id || pages > kLargestRun / page_size()) {
    return DamagedPage(id, "is longer than the file, or than 64 MiB");
  }
  if (head.kind == kBranchPage && pages > kLargestBranch / page_size()) {
    return DamagedPage(id, "is a branch of more than 1 MiB");
  }
  for (std::uint64_t i = id; i < id + pages; ++i) {
    if (used[i]) return DamagedPage(i, "is in two places");
    used[i] = true;
  }
  if (pages > 1) {
    bytes.resize(pages * page_size());
    OKMS_RETURN_IF_ERROR(file_.Read((id + 1) * page_size(), std::span(bytes).subspan(page_size())));
  }
  return bytes;
}

absl::StatusOr<std::vector<std::uint64_t>> BboltFile::VisitPage(std::uint64_t id, PageSet& used,
                                                                OnElement on_element) const {
  OKMS_ASSIGN_OR_RETURN(const WipedBytes page, ReadRun(id, used));
  const PageHead head = ReadHead(page);
  std::vector<std::uint64_t> children;
  if (head.kind == kLeafPage) {
    OKMS_RETURN_IF_ERROR(VisitLeaf(page, id, on_element));
    return children;
  }
  if (head.kind != kBranchPage) return DamagedPage(id, "is neither a branch nor a leaf");
  children = BranchChildren(page);
  if (children.empty() || children.size() != head.count) {
    return DamagedPage(id, "has fewer branches than it says");
  }
  return children;
}

absl::Status BboltFile::Visit(std::uint64_t id, int depth, PageSet& used,
                              OnElement on_element) const {
  if (depth > kDeepest) return DamagedPage(id, "is too deep in its tree");
  OKMS_ASSIGN_OR_RETURN(const std::vector<std::uint64_t> children, VisitPage(id, used, on_element));
  for (std::size_t i = children.size(); i > 0; --i) {
    OKMS_RETURN_IF_ERROR(Visit(children[i - 1], depth + 1, used, on_element));
  }
  return absl::OkStatus();
}

absl::Status BboltFile::VisitLeaf(ByteView page, std::uint64_t id, OnElement on_element) const {
  const std::vector<LeafElement> elements = LeafElements(page);
  if (elements.size() != ReadHead(page).count) {
    return DamagedPage(id, "has fewer elements than it says");
  }
  for (std::size_t i = elements.size(); i > 0; --i) {
    OKMS_RETURN_IF_ERROR(on_element(elements[i - 1]));
  }
  return absl::OkStatus();
}

absl::Status BboltFile::DamagedPage(std::uint64_t id, absl::string_view what) const {
  return file_.Damaged(absl::StrCat("page ", id, " ", what));
}

}  // namespace okms::audit
