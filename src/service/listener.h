// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Who may come in.

#ifndef OKMS_SERVICE_LISTENER_H_
#define OKMS_SERVICE_LISTENER_H_

#include <sys/socket.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/deadline.h"
#include "base/log.h"
#include "base/unique_fd.h"

namespace okms {

struct PeerPolicy {
  std::vector<uid_t> uids;  // AllowDefaults adds root and, where it is ours alone, our own user
  std::vector<gid_t> gids;  // primary or supplementary

  void AllowDefaults(bool own_user = true);

  // Forgets each user and group that nobody can be, as the kernel tells us: in a user namespace
  // (PrivateUsers= of a unit) whoever is not in its maps looks like user 65534, and to allow that
  // one would allow them all. Returns a line for each. `proc` has the maps; one that cannot be read
  // is no reason.
  std::vector<std::string> ForgetUnknown(const std::string& proc = "/proc/self");
};

// Accepts connections and looks at who connects (SO_PEERCRED: the kernel's word, as of the
// connect) before a byte is read. A stranger is closed at once. Used by the event loop's thread.
class Listener {
 public:
  // `socket` is a non-blocking listening socket that outlives the listener. `serve` takes over what
  // was let in, unless there are too many already: then it returns false.
  Listener(int socket, PeerPolicy policy, const Logger& log, std::function<bool(UniqueFd)> serve)
      : socket_(socket), policy_(std::move(policy)), log_(log), serve_(std::move(serve)) {}

  // Accepts those that wait, but no more than kInOneTurn: somebody who connects without pause must
  // not keep the caller from all else. Does not block. Errors, after which to call again later
  // rather than at once, and which are in the log, if not each time: kResourceExhausted when the
  // process has no descriptor left; kInternal.
  absl::Status Accept();

  struct Refused {
    uint64_t strangers = 0;  // who may not connect
    uint64_t too_many = 0;   // of one user, or of all but root
  };
  const Refused& refused() const { return refused_; }

  static constexpr int kInOneTurn = 64;

 private:
  absl::Status AcceptSome();
  bool Allowed(const ucred& peer, int connection) const;
  void Report(const ucred& peer, absl::string_view why);

  int socket_;
  PeerPolicy policy_;
  const Logger& log_;
  std::function<bool(UniqueFd)> serve_;
  Deadline next_failure_;
  Deadline next_report_;
  unsigned unreported_ = 0;
  Refused refused_;
};

}  // namespace okms

#endif  // OKMS_SERVICE_LISTENER_H_
