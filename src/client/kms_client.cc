// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "client/kms_client.h"

#include <fcntl.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "kms/v2/api.pb.h"

namespace okms::client {
namespace {

using std::chrono::milliseconds;

absl::Status FromGrpc(const grpc::Status& status) {
  // The codes of the two are the same, by number.
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

std::string Target(const std::string& socket) {
  absl::string_view name = socket;
  if (absl::ConsumePrefix(&name, "@")) return absl::StrCat("unix-abstract:", name);
  return absl::StrCat("unix:", socket);
}

// Not as a time of day, which may be set before the call begins.
gpr_timespec In(milliseconds span) {
  if (span == milliseconds::max()) return gpr_inf_future(GPR_CLOCK_MONOTONIC);
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_millis(span.count(), GPR_TIMESPAN));
}

std::shared_ptr<grpc::Channel> ToSocket(const std::string& socket, const std::string& authority) {
  grpc::ChannelArguments arguments;
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, authority);
  // Each client has its own connection, as each apiserver has.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  return grpc::CreateCustomChannel(Target(socket), grpc::InsecureChannelCredentials(), arguments);
}

std::shared_ptr<grpc::Channel> Over(UniqueFd connection, const std::string& authority) {
  const int flags = ::fcntl(connection.get(), F_GETFL);
  ::fcntl(connection.get(), F_SETFL, flags | O_NONBLOCK);  // which gRPC takes for granted
  return grpc::CreateInsecureChannelFromFd(authority, connection.release());
}

template <typename Message>
absl::StatusOr<Message> Parsed(const absl::StatusOr<std::string>& bytes) {
  if (!bytes.ok()) return bytes.status();
  Message message;
  if (message.ParseFromString(*bytes)) return message;
  return absl::InternalError("the answer is no message of KMS v2, or a text in it is no UTF-8");
}

}  // namespace

struct KmsClient::Impl {
  Impl(const std::shared_ptr<grpc::Channel>& channel, milliseconds timeout_of_a_call, bool waits)
      : timeout(timeout_of_a_call), wait_for_ready(waits), stub(channel) {}

  const milliseconds timeout;
  const bool wait_for_ready;
  grpc::GenericStub stub;
};

KmsClient::KmsClient(const std::string& socket, const Options& options)
    : impl_(std::make_unique<Impl>(ToSocket(socket, options.authority), options.timeout, true)) {}

KmsClient::KmsClient(UniqueFd connection, const Options& options)
    : impl_(std::make_unique<Impl>(Over(std::move(connection), options.authority), options.timeout,
                                   false)) {}

KmsClient::~KmsClient() = default;

absl::StatusOr<std::string> KmsClient::Call(const std::string& method, const std::string& message,
                                            milliseconds cancel_after) {
  grpc::ClientContext context;
  context.set_deadline(In(impl_->timeout));
  context.set_wait_for_ready(impl_->wait_for_ready);
  grpc::CompletionQueue queue;
  const grpc::Slice slice(message);
  const auto call =
      impl_->stub.PrepareUnaryCall(&context, method, grpc::ByteBuffer(&slice, 1), &queue);
  call->StartCall();
  grpc::ByteBuffer answer;
  grpc::Status status;
  call->Finish(&answer, &status, nullptr);
  void* tag = nullptr;
  bool done = false;
  if (queue.AsyncNext(&tag, &done, In(cancel_after)) == grpc::CompletionQueue::TIMEOUT) {
    context.TryCancel();
    queue.Next(&tag, &done);
  }
  if (!status.ok()) return FromGrpc(status);
  std::vector<grpc::Slice> slices;
  answer.Dump(&slices);
  std::string bytes;
  for (const grpc::Slice& part : slices) {
    bytes.append(reinterpret_cast<const char*>(part.begin()), part.size());
  }
  return bytes;
}

absl::StatusOr<StatusReply> KmsClient::Status() {
  auto answer = Parsed<v2::StatusResponse>(Call(kStatusMethod, ""));
  if (!answer.ok()) return answer.status();
  return StatusReply{answer->version(), answer->healthz(), answer->key_id()};
}

absl::StatusOr<Record> KmsClient::Encrypt(const std::string& plaintext, const std::string& uid) {
  auto answer = Parsed<v2::EncryptResponse>(Call(kEncryptMethod, EncryptMessage(plaintext, uid)));
  if (!answer.ok()) return answer.status();
  return Record{answer->ciphertext(),
                answer->key_id(),
                {answer->annotations().begin(), answer->annotations().end()}};
}

absl::StatusOr<std::string> KmsClient::Decrypt(const Record& record, const std::string& uid) {
  auto answer = Parsed<v2::DecryptResponse>(Call(kDecryptMethod, DecryptMessage(record, uid)));
  if (!answer.ok()) return answer.status();
  return answer->plaintext();
}

std::string EncryptMessage(const std::string& plaintext, const std::string& uid) {
  v2::EncryptRequest request;
  request.set_plaintext(plaintext);
  request.set_uid(uid);
  return request.SerializeAsString();
}

std::string DecryptMessage(const Record& record, const std::string& uid) {
  v2::DecryptRequest request;
  request.set_ciphertext(record.ciphertext);
  request.set_uid(uid);
  request.set_key_id(record.key_id);
  for (const auto& [name, value] : record.annotations) {
    (*request.mutable_annotations())[name] = value;
  }
  return request.SerializeAsString();
}

}  // namespace okms::client
