// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/file_watch.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

namespace okms {
namespace {

// The time of change, which no program can set back, also tells that one is another: a file that
// was written anew in place may have the time of modification of its original.
std::optional<std::array<uint64_t, 7>> Of(const std::string& path, int flags) {
  const auto number = [](auto value) { return static_cast<uint64_t>(value); };
  struct stat info {};
  if (::fstatat(AT_FDCWD, path.c_str(), &info, flags) != 0) {
    if (errno == EACCES) return std::nullopt;
    return {{number(errno)}};
  }
  return {{0, number(info.st_dev), number(info.st_ino), number(info.st_size),
           number(info.st_mtim.tv_sec), number(info.st_ctim.tv_sec),
           number(info.st_mtim.tv_nsec) << 32U | number(info.st_ctim.tv_nsec)}};
}

}  // namespace

FileWatch::FileWatch(std::vector<std::string> paths) : paths_(std::move(paths)), last_(Look()) {}

bool FileWatch::Changed() {
  bool changed = false;
  const auto now = Look();
  for (std::size_t i = 0; i < now.size(); ++i) {
    if (!now[i] || now[i] == last_[i]) continue;
    changed = true;
    last_[i] = now[i];
  }
  return changed;
}

std::vector<std::optional<FileWatch::Identity>> FileWatch::Look() const {
  std::vector<std::optional<Identity>> all;
  for (const std::string& path : paths_) {
    all.push_back(Of(path, 0));
    all.push_back(Of(path, AT_SYMLINK_NOFOLLOW));
    // Of the directory only which one it is: other files come and go in it.
    auto directory = Of(std::filesystem::path(path).parent_path().string(), 0);
    if (directory) (*directory)[3] = (*directory)[4] = (*directory)[5] = (*directory)[6] = 0;
    all.push_back(directory);
  }
  return all;
}

}  // namespace okms
