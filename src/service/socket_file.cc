// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "service/socket_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

namespace okms {

SocketFile::SocketFile(std::string path)
    : path_(std::move(path)),
      file_(path_.empty() ? -1 : ::open(path_.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC)) {}

std::string SocketFile::Look() const {
  struct stat ours {};
  if (!file_ || ::fstat(file_.get(), &ours) != 0) return "";
  struct stat there {};
  // Not lstat(2): some C libraries have a system call of its own for that.
  if (::fstatat(AT_FDCWD, path_.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0) {
    const bool same = there.st_dev == ours.st_dev && there.st_ino == ours.st_ino;
    return same ? "" : "was replaced";
  }
  return errno == ENOENT || errno == ENOTDIR || ours.st_nlink == 0 ? "was removed" : "";
}

}  // namespace okms
