// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/lost_files.h"

#include <fcntl.h>

#include <cerrno>

#include "base/unique_fd.h"

namespace okms {
namespace {

bool IsForbidden(const std::string& path) {
  return !UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) && errno == EACCES;
}

}  // namespace

LostFiles::LostFiles(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    if (!IsForbidden(path)) files_.push_back({path});
  }
}

std::string LostFiles::Look() {
  std::string lost;
  for (File& file : files_) {
    const bool before = file.forbidden;
    file.forbidden = IsForbidden(file.path);
    if (before && file.forbidden) lost = file.path;
  }
  return lost;
}

}  // namespace okms
