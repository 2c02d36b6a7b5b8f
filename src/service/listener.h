// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Who may come in.

#ifndef OKMS_SERVICE_LISTENER_H_
#define OKMS_SERVICE_LISTENER_H_

#include <sys/types.h>

#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "base/deadline.h"
#include "base/log.h"
#include "base/unique_fd.h"

namespace okms {

struct PeerPolicy {
  std::vector<uid_t> uids;  // root and our own user are added by AllowDefaults
  std::vector<gid_t> gids;  // primary or supplementary

  void AllowDefaults();
};

// Accepts connections and looks at who connects (SO_PEERCRED: the kernel's word, as of the
// connect) before a byte is read. A stranger is closed at once. Used by the event loop's thread.
class Listener {
 public:
  // `socket` is a non-blocking listening socket that outlives the listener. `serve` takes over what
  // was let in.
  Listener(int socket, PeerPolicy policy, const Logger& log, std::function<void(UniqueFd)> serve)
      : socket_(socket), policy_(std::move(policy)), log_(log), serve_(std::move(serve)) {}

  // Accepts all that wait. Does not block. Errors, after which to call again later rather than at
  // once: kResourceExhausted when the process has no descriptor left; kInternal.
  absl::Status AcceptAll();

 private:
  bool Allowed(int connection);
  void Refuse(uid_t uid, pid_t pid);

  int socket_;
  PeerPolicy policy_;
  const Logger& log_;
  std::function<void(UniqueFd)> serve_;
  Deadline next_report_;
  unsigned unreported_ = 0;
};

}  // namespace okms

#endif  // OKMS_SERVICE_LISTENER_H_
