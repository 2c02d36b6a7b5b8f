// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "doctor/kms_status.h"

#include <fcntl.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/grpcpp.h>
#include <poll.h>

#include <chrono>

#include "kms/v2/api.grpc.pb.h"

namespace okms::doctor {
namespace {

constexpr char kHealthy[] = "ok";

}  // namespace

absl::Status KmsStatus::Verdict() const {
  if (!error.ok() || healthz == kHealthy) return error;
  return absl::FailedPreconditionError(healthz);
}

absl::StatusOr<KmsStatus> AskStatus(UniqueFd connection, Deadline deadline) {
  const int flags = ::fcntl(connection.get(), F_GETFL);
  ::fcntl(connection.get(), F_SETFL, flags | O_NONBLOCK);  // which gRPC takes for granted
  // gRPC closes the other one.
  const UniqueFd same(::fcntl(connection.get(), F_DUPFD_CLOEXEC, 0));
  // The connection is there, so whatever fails from here on is the plugin's answer, or its end.
  const auto stub = v2::KeyManagementService::NewStub(
      grpc::CreateInsecureChannelFromFd("localhost", connection.release()));
  grpc::ClientContext context;
  context.set_deadline(
      std::chrono::system_clock::now() +
      std::chrono::duration_cast<std::chrono::system_clock::duration>(deadline - Clock::now()));
  v2::StatusResponse answer;
  const grpc::Status status = stub->Status(&context, {}, &answer);
  pollfd end{same.get(), POLLRDHUP, 0};
  if (!status.ok() && ::poll(&end, 1, 0) != 0) {
    return absl::PermissionDeniedError(
        "the plugin hung up, as it does when this user may not connect");
  }
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return absl::DeadlineExceededError("no answer in time");
  }
  // A gRPC error's code and those of absl::Status are the same, by name.
  return KmsStatus{
      absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message()),
      answer.healthz(), answer.key_id()};
}

}  // namespace okms::doctor
