// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// bbolt's B+ trees, read only, a page at a time.

#ifndef OKMS_AUDIT_BBOLT_FILE_H_
#define OKMS_AUDIT_BBOLT_FILE_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "audit/bbolt_meta.h"
#include "audit/bbolt_page.h"
#include "audit/snapshot_file.h"
#include "base/secret.h"

namespace okms::audit {

// A bit for each page of the file.
using PageSet = std::vector<bool>;

// The views are good during the call that passes them.
using OnElement = absl::FunctionRef<absl::Status(const LeafElement&)>;

// A tree of its own, or, while it is small, a page within the element that names it.
struct Bucket {
  std::uint64_t root = 0;  // 0: `inline_page`
  WipedBytes inline_page;
};

// Memory: a page and its overflow, which pages are to come on each level of the tree, and a bit a
// page of the file.
class BboltFile {
 public:
  // Errors of this class: of ReadMeta, and kDataLoss.
  static absl::StatusOr<BboltFile> Open(SnapshotFile file);

  const SnapshotFile& file() const { return file_; }
  std::uint32_t page_size() const { return meta_.page_size; }
  std::uint64_t page_count() const { return file_.size() / meta_.page_size; }

  // Only pages 0 and 1, and the list of free ones.
  absl::StatusOr<PageSet> FixedPages() const;

  Bucket Root() const { return {meta_.root, {}}; }
  absl::StatusOr<Bucket> SubBucket(const LeafElement& element) const;

  // Each element, the last key first. Adds the pages to `used`; one that is in it already is an
  // error, which is also what ends circles.
  absl::Status Walk(const Bucket& bucket, PageSet& used, OnElement on_element) const;

  // As Walk, only for the pages of a bucket and of those within.
  absl::Status MarkAll(const Bucket& bucket, PageSet& used) const;

 private:
  BboltFile(SnapshotFile file, const BboltMeta& meta) : file_(std::move(file)), meta_(meta) {}

  absl::StatusOr<WipedBytes> ReadRun(std::uint64_t id, PageSet& used) const;
  // The pages below a branch; none where it is a leaf, which is visited then.
  absl::StatusOr<std::vector<std::uint64_t>> VisitPage(std::uint64_t id, PageSet& used,
                                                       OnElement on_element) const;
  absl::Status Visit(std::uint64_t id, int depth, PageSet& used, OnElement on_element) const;
  absl::Status VisitLeaf(ByteView page, std::uint64_t id, OnElement on_element) const;
  absl::Status DamagedPage(std::uint64_t id, absl::string_view what) const;

  SnapshotFile file_;
  BboltMeta meta_;
};

// What a page may have with its overflow: etcd takes requests of 1.5 MiB, or as many as it is told.
constexpr std::uint64_t kLargestRun = std::uint64_t{64} << 20U;
// The same of a branch: bbolt splits what is longer than a page, but for 4 keys of 32 KiB.
constexpr std::uint64_t kLargestBranch = std::uint64_t{1} << 20U;

}  // namespace okms::audit

#endif  // OKMS_AUDIT_BBOLT_FILE_H_
