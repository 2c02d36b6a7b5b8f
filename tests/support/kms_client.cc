// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "support/kms_client.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "kms/v2/api.grpc.pb.h"

namespace okms::test {
namespace {

absl::Status FromGrpc(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

std::string Target(const std::string& socket) {
  absl::string_view name = socket;
  if (absl::ConsumePrefix(&name, "@")) return absl::StrCat("unix-abstract:", name);
  return absl::StrCat("unix:", socket);
}

}  // namespace

struct KmsClient::Impl {
  Options options;
  std::unique_ptr<v2::KeyManagementService::Stub> stub;

  void Prepare(grpc::ClientContext& context) const {
    // Not as a time of day, which may be set before the call begins.
    context.set_deadline(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                      gpr_time_from_millis(options.timeout.count(), GPR_TIMESPAN)));
    context.set_wait_for_ready(true);
  }
};

KmsClient::KmsClient(const std::string& socket, const Options& options)
    : impl_(std::make_unique<Impl>()) {
  impl_->options = options;
  grpc::ChannelArguments arguments;
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, options.authority);
  // Each client has its own connection, as each apiserver has.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  impl_->stub = v2::KeyManagementService::NewStub(
      grpc::CreateCustomChannel(Target(socket), grpc::InsecureChannelCredentials(), arguments));
}

KmsClient::~KmsClient() = default;

absl::StatusOr<StatusReply> KmsClient::Status() {
  grpc::ClientContext context;
  impl_->Prepare(context);
  v2::StatusResponse response;
  const grpc::Status status = impl_->stub->Status(&context, {}, &response);
  if (!status.ok()) return FromGrpc(status);
  return StatusReply{response.version(), response.healthz(), response.key_id()};
}

absl::StatusOr<Record> KmsClient::Encrypt(const std::string& plaintext, const std::string& uid) {
  grpc::ClientContext context;
  impl_->Prepare(context);
  v2::EncryptRequest request;
  request.set_plaintext(plaintext);
  request.set_uid(uid);
  v2::EncryptResponse response;
  const grpc::Status status = impl_->stub->Encrypt(&context, request, &response);
  if (!status.ok()) return FromGrpc(status);
  return Record{response.ciphertext(),
                response.key_id(),
                {response.annotations().begin(), response.annotations().end()}};
}

absl::StatusOr<std::string> KmsClient::Decrypt(const Record& record, const std::string& uid) {
  grpc::ClientContext context;
  impl_->Prepare(context);
  v2::DecryptRequest request;
  request.set_ciphertext(record.ciphertext);
  request.set_uid(uid);
  request.set_key_id(record.key_id);
  for (const auto& [name, value] : record.annotations) {
    (*request.mutable_annotations())[name] = value;
  }
  v2::DecryptResponse response;
  const grpc::Status status = impl_->stub->Decrypt(&context, request, &response);
  if (!status.ok()) return FromGrpc(status);
  return response.plaintext();
}

}  // namespace okms::test
