// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/snapshot_file.h"

#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "audit/sha256.h"
#include "base/read_file.h"
#include "base/secret.h"
#include "base/status.h"

namespace okms::audit {
namespace {

// Pages are a multiple of that; etcd itself tells by it whether there is a digest.
constexpr std::uint64_t kSector = 512;

std::string Name(const std::string& path) { return absl::StrCat("snapshot ", Printable(path)); }

absl::StatusCode CodeOf(int error) {
  if (error == ENOENT || error == ENOTDIR) return absl::StatusCode::kNotFound;
  return error == EACCES ? absl::StatusCode::kPermissionDenied
                         : absl::StatusCode::kFailedPrecondition;
}

// A running etcd holds its database by flock(2). The lock is only tried, not kept: an etcd that
// starts would wait for it.
bool IsHeld(int fd) {
  if (::flock(fd, LOCK_SH | LOCK_NB) != 0) return errno == EWOULDBLOCK;
  ::flock(fd, LOCK_UN);
  return false;
}

bool SameTime(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

}  // namespace

SnapshotFile::SnapshotFile(const std::string& path, UniqueFd fd, const struct stat& info)
    : name_(Name(path)),
      fd_(std::move(fd)),
      opened_(info),
      size_(static_cast<std::uint64_t>(info.st_size)),
      has_digest_(size_ % kSector == kSha256Size) {
  if (has_digest_) size_ -= kSha256Size;
}

absl::StatusOr<SnapshotFile> SnapshotFile::Open(const std::string& path) {
  UniqueFd fd = OpenToRead(path);
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0) {
    const int error = errno;
    return ErrnoStatus(CodeOf(error), absl::StrCat(Name(path), ": cannot be read"), error);
  }
  SnapshotFile file(path, std::move(fd), info);
  if (S_ISDIR(info.st_mode)) {
    return file.Unfit("is a folder: name a file that etcdctl snapshot save has written");
  }
  if (!S_ISREG(info.st_mode)) return file.Unfit("is no regular file");
  if (info.st_size == 0) return file.Unfit("is empty: take another one (etcdctl snapshot save)");
  if (IsHeld(file.fd_.get())) {
    return file.Unfit(
        "is the database of an etcd that runs, which writes it while it is read: take a snapshot "
        "of it (etcdctl snapshot save), or have etcd asked by its API");
  }
  return file;
}

absl::Status SnapshotFile::Read(std::uint64_t offset, std::span<std::uint8_t> bytes) const {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t size = ::pread(fd_.get(), bytes.data() + done, bytes.size() - done,
                                 static_cast<off_t>(offset + done));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) {
      const int error = errno;
      return ErrnoStatus(CodeOf(error), absl::StrCat(name_, ": cannot be read"), error);
    }
    if (size == 0) return Damaged("it ends too early");
    done += static_cast<std::size_t>(size);
  }
  return absl::OkStatus();
}

absl::Status SnapshotFile::CheckDigest() const {
  if (!has_digest_) return absl::OkStatus();
  constexpr std::size_t kPiece = std::size_t{1} << 20U;
  WipedBytes piece(kPiece);
  Sha256 sha256;
  for (std::uint64_t offset = 0; offset < size_; offset += kPiece) {
    const auto left = std::min<std::uint64_t>(kPiece, size_ - offset);
    const auto bytes = std::span(piece).first(static_cast<std::size_t>(left));
    OKMS_RETURN_IF_ERROR(Read(offset, bytes));
    sha256.Add(bytes);
  }
  Sha256Digest expected{};
  OKMS_RETURN_IF_ERROR(Read(size_, expected));
  if (sha256.Take() == expected) return absl::OkStatus();
  return Damaged("the SHA-256 at its end is not that of what is in it");
}

absl::Status SnapshotFile::CheckUnchanged() const {
  struct stat now {};
  if (::fstat(fd_.get(), &now) == 0 && now.st_size == opened_.st_size &&
      SameTime(now.st_mtim, opened_.st_mtim)) {
    return absl::OkStatus();
  }
  return absl::AbortedError(absl::StrCat(
      name_,
      ": was written while it was read: try again when it is complete, or take a snapshot "
      "of it (etcdctl snapshot save) if it belongs to an etcd that runs"));
}

absl::Status SnapshotFile::Damaged(absl::string_view what) const {
  return absl::DataLossError(
      absl::StrCat(name_, ": is damaged: ", what,
                   "; copy it again, or take another one (etcdctl snapshot save)"));
}

absl::Status SnapshotFile::Unfit(absl::string_view what) const {
  return absl::FailedPreconditionError(absl::StrCat(name_, ": ", what));
}

}  // namespace okms::audit
