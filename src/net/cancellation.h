// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The end of all waiting, from another thread.

#ifndef OKMS_NET_CANCELLATION_H_
#define OKMS_NET_CANCELLATION_H_

#include <poll.h>
#include <sys/eventfd.h>

#include "absl/status/status.h"
#include "base/unique_fd.h"

namespace okms {

// Who waits polls Watch() beside the descriptors of its own; once it is ready, it stays so.
// Thread-safe. Makes its descriptor when it is made, so make it before the sandbox.
class Cancellation {
 public:
  void Cancel() const { ::eventfd_write(fd_.get(), 1); }
  pollfd Watch() const { return {fd_.get(), POLLIN, 0}; }

  static absl::Status Error() { return absl::CancelledError("the plugin is stopping"); }

 private:
  // Without one (the process has no descriptor left) a wait ends at its deadline: poll(2) passes
  // over -1.
  const UniqueFd fd_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
};

}  // namespace okms

#endif  // OKMS_NET_CANCELLATION_H_
