// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/await.h"

#include <poll.h>

#include <cerrno>

#include "base/status.h"

namespace okms {

absl::Status Await(int fd, short events, Deadline deadline) {
  pollfd ready{fd, events, 0};
  while (true) {
    const int count = ::poll(&ready, 1, PollTimeout(deadline));
    if (count > 0) return absl::OkStatus();
    if (count == 0) return absl::DeadlineExceededError("no answer in time");
    if (errno != EINTR) return ErrnoStatus(absl::StatusCode::kUnavailable, "poll", errno);
  }
}

}  // namespace okms
