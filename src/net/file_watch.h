// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Whether files are other ones than before.

#ifndef OKMS_NET_FILE_WATCH_H_
#define OKMS_NET_FILE_WATCH_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace okms {

// By stat(2) alone: no file is opened, and no content looked at. What counts is the file itself,
// through all links (Kubernetes swings one of them to a new directory), the last link, and the
// directory (systemd mounts another one in its place); of each of them which one it is, its size,
// and when it was changed, rights included. What may not be looked at counts as unchanged: rights
// may have been given up since. Not thread-safe; does not block.
class FileWatch {
 public:
  // Takes a first look. A file may be missing; that is something that can change.
  explicit FileWatch(std::vector<std::string> paths);

  // Looks again: whether anything is other than at the last look.
  bool Changed();

 private:
  // Numbers that tell one state from another, of each thing that is looked at.
  using Identity = std::array<uint64_t, 7>;
  std::vector<std::optional<Identity>> Look() const;

  const std::vector<std::string> paths_;
  std::vector<std::optional<Identity>> last_;  // nothing: it may not be looked at
};

}  // namespace okms

#endif  // OKMS_NET_FILE_WATCH_H_
