// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Whether files that are read again and again have gone out of reach for good.

#ifndef OKMS_NET_LOST_FILES_H_
#define OKMS_NET_LOST_FILES_H_

#include <string>
#include <vector>

namespace okms {

// Landlock's rules are bound to the directories of the start. When those are replaced (another /etc
// is mounted over it, resolv.conf becomes a link to somewhere new), what is there now is forbidden,
// until the process starts anew. No peer can bring that about.
class LostFiles {
 public:
  // Made within the sandbox. Those that are there and cannot be read now do not count: their mode
  // says so, and it would at each start.
  explicit LostFiles(const std::vector<std::string>& paths);

  // Looks again. A file that is there and was forbidden at the last look, too (a new one may get
  // its mode late); empty: none.
  std::string Look();

 private:
  struct File {
    std::string path;
    bool forbidden = false;  // at the last look
  };
  std::vector<File> files_;
};

}  // namespace okms

#endif  // OKMS_NET_LOST_FILES_H_
