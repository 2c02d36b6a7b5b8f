// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "ctl/kms_status.h"

#include <fcntl.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/grpcpp.h>
#include <poll.h>

#include <chrono>
#include <memory>

#include "absl/status/status.h"
#include "core/key_id_hash.h"
#include "ctl/connection.h"
#include "kms/v2/api.grpc.pb.h"

namespace okms::ctl {
namespace {

constexpr char kHealthy[] = "ok";

Json ReportOf(const grpc::Status& status, const v2::StatusResponse& answer) {
  // A gRPC error's code and those of absl::Status are the same, by name.
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  const bool ready = status.ok() && answer.healthz() == kHealthy;
  Json report{{"ready", ready},
              {"reason", !status.ok() ? status.error_message()
                         : ready      ? ""
                                      : answer.healthz()},
              {"code", absl::StatusCodeToString(code)}};
  // An error says nothing of the key.
  if (status.ok()) {
    report["key"] = {{"id", answer.key_id()}, {"id_hash", KeyIdHash(answer.key_id())}};
  }
  return report;
}

}  // namespace

absl::StatusOr<Json> KmsStatus(UniqueFd socket, Deadline deadline) {
  const UniqueFd same(::fcntl(socket.get(), F_DUPFD_CLOEXEC, 0));  // gRPC closes the other one
  // The connection is there, so whatever fails from here on is the plugin's answer, or its end.
  const auto stub = v2::KeyManagementService::NewStub(
      grpc::CreateInsecureChannelFromFd("localhost", socket.release()));
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
  return ReportOf(status, answer);
}

}  // namespace okms::ctl
