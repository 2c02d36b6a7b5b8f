// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Translates: messages into our types, deadlines into ours, and statuses back. A plaintext is in
// three places on its way through here, each wiped: the bytes that gRPC received (Parse), the
// message that protobuf made of them (Parse's caller), and the bytes that gRPC is to send (Wire).

#include "service/kms_service.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/debug.h"
#include "base/secret.h"
#include "base/status.h"
#include "base/utf8.h"
#include "okms/requests.pb.h"

namespace okms {
namespace {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;
using std::chrono::milliseconds;

constexpr char kApiVersion[] = "v2";
constexpr char kHealthy[] = "ok";

// Our answer must be there before the caller stops to wait for it, or the reason is lost.
constexpr milliseconds kAnswerMargin{100};

// The one place where our errors become gRPC's: the codes are the same by number.
grpc::Status ToGrpc(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()), Message(status)};
}

// Overwrites the bytes of `buffer` where they are. Others who read the same block of memory look at
// other parts of it: gRPC has nothing more to do with a message that it has handed over.
void WipeInPlace(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return;
  for (const grpc::Slice& slice : slices) {
    OPENSSL_cleanse(const_cast<uint8_t*>(slice.begin()), slice.size());
  }
}

// The message in `request`, whose bytes are wiped.
template <typename Message>
absl::Status Parse(const grpc::ByteBuffer& request, Message& message) {
  grpc::ByteBuffer bytes(request);  // the same bytes; parsing lets go of them
  const bool parsed = grpc::SerializationTraits<Message>::Deserialize(&bytes, &message).ok();
  WipeInPlace(request);
  return parsed ? absl::OkStatus()
                : absl::InvalidArgumentError("the request is no message of KMS v2");
}

absl::Status CheckText(absl::string_view name, absl::string_view text) {
  if (IsUtf8(text)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the ", name, " is no UTF-8"));
}

absl::Status CheckTexts(const wire::DecryptRequest& request) {
  OKMS_RETURN_IF_ERROR(CheckText("uid", request.uid()));
  OKMS_RETURN_IF_ERROR(CheckText("key id", request.key_id()));
  for (const auto& annotation : request.annotations()) {
    OKMS_RETURN_IF_ERROR(CheckText("name of an annotation", annotation.name()));
  }
  return absl::OkStatus();
}

// What we answer: gRPC's clients would refuse the whole message, and not say why.
absl::StatusOr<std::string> Answerable(absl::StatusOr<std::string> key_id) {
  if (!key_id.ok() || IsUtf8(*key_id)) return key_id;
  return absl::FailedPreconditionError(
      absl::StrCat("the key id \"", Printable(*key_id, 80), "\" is no UTF-8; use another key"));
}

bool IsOurOwn(const CallbackServerContext& context, KmsMethod method) {
  return method == KmsMethod::kStatus && context.client_metadata().count(kOurOwnCall) > 0;
}

// The bytes of `message`, wiped when gRPC lets go of them, however the call ends.
template <typename Message>
grpc::ByteBuffer Wire(const Message& message) {
  auto bytes = std::make_unique<WipedBytes>(message.ByteSizeLong());
  message.SerializeWithCachedSizesToArray(bytes->data());
  WipedBytes* const owned = bytes.release();
  const grpc::Slice slice(
      owned->data(), owned->size(), [](void* user) { delete static_cast<WipedBytes*>(user); },
      owned);
  return grpc::ByteBuffer(&slice, 1);
}

}  // namespace

// One call, from its arrival to its answer. Copied into the callback that waits for the KMS. gRPC's
// own reactor stands for it: one of ours would have each call end on yet another thread, which cost
// a quarter more CPU time and three threads.
struct KmsService::Call {
  Call(KmsService& to, CallbackServerContext& context, KmsMethod which)
      : method(which),
        counts(!IsOurOwn(context, which)),
        service(&to),
        reactor(context.DefaultReactor()),
        began(Clock::now()),
        deadline(to.DeadlineOf(context)),
        ticket(to.calls_.Begin(deadline)) {}

  const char* Name() const { return kKmsMethodNames[static_cast<std::size_t>(method)]; }

  // Counts first: once the reactor has finished, the server that owns us may be gone.
  void Answer(const grpc::Status& status) const {
    const auto code = static_cast<absl::StatusCode>(status.error_code());
    Debug([&] {
      return absl::StrCat(Name(), ": ", absl::StatusCodeToString(code), " in ", watch.Text());
    });
    if (counts) service->counters_.Answered(method, code, Clock::now() - began);
    service->calls_.Answered(ticket);
    reactor->Finish(status);
  }
  // `key_id`: of the record; empty when there is none yet.
  void Fail(absl::string_view uid, absl::string_view key_id, const absl::Status& status) const {
    service->failures_.Add(Name(), uid, key_id, status);
    Answer(ToGrpc(status));
  }

  KmsMethod method;
  bool counts;
  Stopwatch watch;
  KmsService* service;
  ServerUnaryReactor* reactor;
  Clock::time_point began;
  Deadline deadline;
  OpenCalls::Ticket ticket;
};

ServerUnaryReactor* KmsService::Status(CallbackServerContext* context, const v2::StatusRequest*,
                                       v2::StatusResponse* response) {
  const Call call(*this, *context, KmsMethod::kStatus);
  keys_.Status(call.deadline, [call, response](absl::StatusOr<std::string> found) {
    absl::StatusOr<std::string> key_id = Answerable(std::move(found));
    if (!key_id.ok()) {
      // An error rather than a healthz text: with a text, the apiserver would go on to write under
      // its old seed for ever.
      call.Answer(ToGrpc(key_id.status()));
      return;
    }
    response->set_version(kApiVersion);
    response->set_healthz(kHealthy);
    response->set_key_id(*std::move(key_id));
    call.Answer(grpc::Status::OK);
  });
  return call.reactor;
}

ServerUnaryReactor* KmsService::Encrypt(CallbackServerContext* context,
                                        const grpc::ByteBuffer* request,
                                        grpc::ByteBuffer* response) {
  const Call call(*this, *context, KmsMethod::kEncrypt);
  wire::EncryptRequest message;
  absl::Status parsed = Parse(*request, message);
  Secret plaintext(AsBytes(message.plaintext()));
  Wipe(*message.mutable_plaintext());
  if (parsed.ok()) parsed = CheckText("uid", message.uid());
  if (!parsed.ok()) {
    call.Fail(message.uid(), /*key_id=*/"", parsed);
    return call.reactor;
  }
  keys_.Encrypt(
      std::move(plaintext), call.deadline,
      [call, response, uid = std::move(*message.mutable_uid())](absl::StatusOr<Encrypted> result) {
        if (!result.ok()) {
          call.Fail(uid, /*key_id=*/"", result.status());
          return;
        }
        absl::StatusOr<std::string> key_id = Answerable(std::move(result->key_id));
        if (!key_id.ok()) {
          call.Fail(uid, /*key_id=*/"", key_id.status());
          return;
        }
        v2::EncryptResponse answer;
        answer.set_key_id(*std::move(key_id));
        answer.set_ciphertext(std::move(result->ciphertext.bytes));
        for (auto& [name, value] : result->ciphertext.annotations) {
          (*answer.mutable_annotations())[name] = std::move(value);
        }
        *response = Wire(answer);
        call.Answer(grpc::Status::OK);
      });
  return call.reactor;
}

ServerUnaryReactor* KmsService::Decrypt(CallbackServerContext* context,
                                        const grpc::ByteBuffer* request,
                                        grpc::ByteBuffer* response) {
  const Call call(*this, *context, KmsMethod::kDecrypt);
  wire::DecryptRequest message;
  absl::Status parsed = Parse(*request, message);
  if (parsed.ok()) parsed = CheckTexts(message);
  if (!parsed.ok()) {
    call.Fail(message.uid(), message.key_id(), parsed);
    return call.reactor;
  }
  Ciphertext ciphertext{std::move(*message.mutable_ciphertext()), {}};
  for (auto& annotation : *message.mutable_annotations()) {
    ciphertext.annotations[annotation.name()] = std::move(*annotation.mutable_value());
  }
  keys_.Decrypt(message.key_id(), std::move(ciphertext), call.deadline,
                [call, response, uid = std::move(*message.mutable_uid()),
                 key_id = message.key_id()](absl::StatusOr<Secret> plaintext) {
                  if (!plaintext.ok()) {
                    call.Fail(uid, key_id, plaintext.status());
                    return;
                  }
                  v2::DecryptResponse answer;
                  const ByteView bytes = plaintext->Reveal();
                  answer.set_plaintext(bytes.data(), bytes.size());
                  *response = Wire(answer);
                  Wipe(*answer.mutable_plaintext());
                  call.Answer(grpc::Status::OK);
                });
  return call.reactor;
}

Deadline KmsService::DeadlineOf(const CallbackServerContext& context) const {
  const auto theirs = context.deadline();
  if (theirs == std::chrono::system_clock::time_point::max()) return Clock::now() + timeout_;
  const auto left =
      std::chrono::duration_cast<milliseconds>(theirs - std::chrono::system_clock::now());
  return Clock::now() + std::min(timeout_, left - std::min(kAnswerMargin, left / 10));
}

}  // namespace okms
