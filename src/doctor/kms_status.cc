// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "doctor/kms_status.h"

#include <fcntl.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/grpcpp.h>

#include "absl/status/status.h"
#include "kms/v2/api.grpc.pb.h"

namespace okms::doctor {

absl::StatusOr<KmsStatus> AskStatus(UniqueFd connection, std::chrono::milliseconds patience) {
  const int flags = ::fcntl(connection.get(), F_GETFL);
  ::fcntl(connection.get(), F_SETFL, flags | O_NONBLOCK);  // which gRPC takes for granted
  const auto stub = v2::KeyManagementService::NewStub(
      grpc::CreateInsecureChannelFromFd("localhost", connection.release()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + patience);
  v2::StatusResponse response;
  const grpc::Status status = stub->Status(&context, {}, &response);
  if (!status.ok()) {
    return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  }
  return KmsStatus{response.version(), response.healthz(), response.key_id()};
}

}  // namespace okms::doctor
