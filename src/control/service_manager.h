// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What the service manager is told: the protocol of sd_notify(3).

#ifndef OKMS_CONTROL_SERVICE_MANAGER_H_
#define OKMS_CONTROL_SERVICE_MANAGER_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace okms {

// Connected once, before the process gives up the right to make such sockets: sd_notify would make
// one for each message, and with that right the process could talk to other daemons' sockets too.
// What is left of it: docs/threat-model.md, "What is not protected".
class ServiceManager {
 public:
  // The one that $NOTIFY_SOCKET names, a path or @NAME; without that, nobody is told anything.
  // Errors: kUnavailable, one line; the service itself does not depend on it.
  static absl::StatusOr<ServiceManager> Connect();

  // Nobody.
  ServiceManager() = default;

  // Sends "READY=1", "STATUS=..." and the like. Blocks while the manager's queue is full: a READY=1
  // must not be lost. A failure is of no consequence to the service.
  void Notify(absl::string_view message) const;

 private:
  explicit ServiceManager(UniqueFd socket) : socket_(std::move(socket)) {}

  UniqueFd socket_;
};

}  // namespace okms

#endif  // OKMS_CONTROL_SERVICE_MANAGER_H_
