// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The socket of the status pages, if there is one.

#ifndef OKMS_APP_STATUS_SOCKET_H_
#define OKMS_APP_STATUS_SOCKET_H_

#include <optional>
#include <string>

#include "base/log.h"
#include "config/config.h"
#include "service/listen_socket.h"

namespace okms {

struct StatusSocket {
  std::optional<ListenSocket> socket;
  std::string trouble;  // why there is none though there should be, for a line of state
};

// The one that systemd passed, or else the one of --status-listen, for which it must be called
// before the sandbox. That there is none is no reason not to serve kube-apiserver: it is said. So
// is who can read the pages, where no file's mode limits that.
StatusSocket OpenStatusSocket(PassedSockets& passed, const Config& config, const Logger& log);

}  // namespace okms

#endif  // OKMS_APP_STATUS_SOCKET_H_
