// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "doctor/kms_status.h"

#include <fcntl.h>
#include <poll.h>

#include <chrono>
#include <utility>

#include "client/kms_client.h"

namespace okms::doctor {
namespace {

constexpr char kHealthy[] = "ok";

}  // namespace

absl::Status KmsStatus::Verdict() const {
  if (!error.ok() || healthz == kHealthy) return error;
  return absl::FailedPreconditionError(healthz);
}

absl::StatusOr<KmsStatus> AskStatus(UniqueFd connection, Deadline deadline) {
  // The client closes the other one.
  const UniqueFd same(::fcntl(connection.get(), F_DUPFD_CLOEXEC, 0));
  // The connection is there, so whatever fails from here on is the plugin's answer, or its end.
  client::KmsClient client(
      std::move(connection),
      {.timeout = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now())});
  const absl::StatusOr<client::StatusReply> answer = client.Status();
  pollfd end{same.get(), POLLRDHUP, 0};
  if (!answer.ok() && ::poll(&end, 1, 0) != 0) {
    return absl::PermissionDeniedError(
        "the plugin hung up, as it does when this user may not connect");
  }
  if (absl::IsDeadlineExceeded(answer.status())) {
    return absl::DeadlineExceededError("no answer in time");
  }
  if (!answer.ok()) return KmsStatus{answer.status(), "", ""};
  return KmsStatus{absl::OkStatus(), answer->healthz, answer->key_id};
}

}  // namespace okms::doctor
