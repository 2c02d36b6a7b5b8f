// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The socket that is served, and whether anybody can still find it.

#ifndef OKMS_APP_SOCKET_H_
#define OKMS_APP_SOCKET_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/log.h"
#include "config/config.h"
#include "service/listen_socket.h"
#include "service/socket_file.h"

namespace okms {

// The one that systemd passed, if it did, or else one of our own. `unusable` is what is wrong with
// the files of certificates: where systemd holds the socket, who connects is told; else it is the
// error.
absl::StatusOr<ListenSocket> OpenSocket(std::optional<ListenSocket> passed, const Config& config,
                                        const absl::Status& unusable);

// Says when its file is gone, once. Who is connected stays so: that is no reason to end, nor to
// fail Status. For one thread.
class SocketWatch {
 public:
  // What is at its path now is ours: make it before rights are given up. Both must outlive it.
  SocketWatch(const ListenSocket& socket, const Logger& log)
      : socket_(socket), log_(log), file_(socket.path()) {}

  void Look();
  // For a line of state, as long as it lasts; empty: all is well.
  const std::string& trouble() const { return trouble_; }

 private:
  const ListenSocket& socket_;
  const Logger& log_;
  const SocketFile file_;
  std::string trouble_;
};

}  // namespace okms

#endif  // OKMS_APP_SOCKET_H_
