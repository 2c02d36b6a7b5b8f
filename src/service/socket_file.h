// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Whether the socket that we listen on can still be reached by its name.

#ifndef OKMS_SERVICE_SOCKET_FILE_H_
#define OKMS_SERVICE_SOCKET_FILE_H_

#include <string>

#include "base/unique_fd.h"

namespace okms {

// A listening socket whose file was removed or replaced looks the same from within, and takes no
// connection any more: those that are open go on, and nobody notices before the apiserver's next
// restart. The sandbox lets nothing be opened; but looking at a name is no opening, and where the
// folder is closed to the user whom the process has become, a hold on the file tells at least how
// many names it has left.
class SocketFile {
 public:
  // Takes what is at `path` now for ours: call it before rights are given up. An empty path (an
  // abstract name), or one where nothing is, tells nothing later either.
  explicit SocketFile(std::string path);

  // Empty while it is there; else "was removed" or "was replaced".
  std::string Look() const;

 private:
  std::string path_;
  UniqueFd file_;  // O_PATH
};

}  // namespace okms

#endif  // OKMS_SERVICE_SOCKET_FILE_H_
