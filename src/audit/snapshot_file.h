// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The file of a snapshot: read at offsets, never mapped. A mapping of a file that somebody cuts
// ends the process (SIGBUS); a read says how much there was.

#ifndef OKMS_AUDIT_SNAPSHOT_FILE_H_
#define OKMS_AUDIT_SNAPSHOT_FILE_H_

#include <sys/stat.h>

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace okms::audit {

// All errors are one line with the file's name, and say what to do.
class SnapshotFile {
 public:
  // A regular file, not empty, that no etcd has open: what is written meanwhile is torn.
  static absl::StatusOr<SnapshotFile> Open(const std::string& path);

  // "snapshot FILE", fit to be shown.
  const std::string& name() const { return name_; }
  // Without the digest that follows in what `etcdctl snapshot save` writes.
  std::uint64_t size() const { return size_; }
  bool has_digest() const { return has_digest_; }

  // All of `bytes`, from `offset` on. kDataLoss: the file ends before.
  absl::Status Read(std::uint64_t offset, std::span<std::uint8_t> bytes) const;

  // Reads all of it, if it has a digest. kDataLoss: it is of other bytes.
  absl::Status CheckDigest() const;

  // kAborted: the file was written since Open.
  absl::Status CheckUnchanged() const;

  // kDataLoss: "snapshot FILE: is damaged: `what`", and what to do.
  absl::Status Damaged(absl::string_view what) const;
  // kFailedPrecondition: "snapshot FILE: `what`".
  absl::Status Unfit(absl::string_view what) const;

 private:
  SnapshotFile(const std::string& path, UniqueFd fd, const struct stat& info);

  std::string name_;
  UniqueFd fd_;
  struct stat opened_;
  std::uint64_t size_;
  bool has_digest_;
};

}  // namespace okms::audit

#endif  // OKMS_AUDIT_SNAPSHOT_FILE_H_
