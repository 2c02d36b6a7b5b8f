// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Translates: messages into our types, deadlines into ours, and statuses back. A plaintext is in
// three places on its way through here, each wiped: the bytes that gRPC received (Parse), the
// message that protobuf made of them (Parse's caller), and the bytes that gRPC is to send (Wire).

#include "service/kms_service.h"

#include <google/protobuf/arena.h>

#include <algorithm>
#include <array>
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

using Responder = grpc::ServerAsyncResponseWriter<grpc::ByteBuffer>;
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

class KmsService::Call final : public Completions::Call {
 public:
  // Waits for the next call of that method.
  Call(KmsService& service, const Method& method, Completions& completions);

  void Status();
  void Encrypt();
  void Decrypt();

 private:
  void ExpectNext() override { new Call(service_, method_, completions()); }
  void Came() override;

  void Succeed(const grpc::ByteBuffer& answer);
  void Fail(const absl::Status& status);
  // As Fail, with a line in the log.
  void FailLogged(const absl::Status& status);
  // Counts first: when it has been answered, the server that owns us may be gone.
  void Count(absl::StatusCode code) const;
  const char* Name() const;
  bool IsOurOwn() const;

  KmsService& service_;
  const Method& method_;
  grpc::ServerContext context_;
  grpc::ByteBuffer request_;
  Responder responder_{&context_};

  Deadline came_at_;
  Deadline deadline_;
  OpenCalls::Ticket ticket_;
  std::string uid_;
  std::string key_id_;  // of the record; empty when there is none yet
};

struct KmsService::Method {
  KmsMethod method;
  void (Methods::*expect)(grpc::ServerContext*, grpc::ByteBuffer*, Responder*,
                          grpc::CompletionQueue*, grpc::ServerCompletionQueue*, void*);
  void (Call::*begin)();
};

const KmsService::Method KmsService::kMethods[] = {
    {KmsMethod::kStatus, &Methods::RequestStatus, &Call::Status},
    {KmsMethod::kEncrypt, &Methods::RequestEncrypt, &Call::Encrypt},
    {KmsMethod::kDecrypt, &Methods::RequestDecrypt, &Call::Decrypt},
};

void KmsService::Begin(Completions& completions) {
  for (const Method& method : kMethods) new Call(*this, method, completions);
}

KmsService::Call::Call(KmsService& service, const Method& method, Completions& completions)
    : Completions::Call(completions), service_(service), method_(method) {
  grpc::ServerCompletionQueue* const queue = completions.queue();
  (service.methods_.*method.expect)(&context_, &request_, &responder_, queue, queue, this);
}

void KmsService::Call::Came() {
  came_at_ = Clock::now();
  deadline_ = service_.DeadlineOf(context_, came_at_);
  ticket_ = service_.calls_.Begin(deadline_);
  (this->*method_.begin)();
}

const char* KmsService::Call::Name() const {
  return kKmsMethodNames[static_cast<std::size_t>(method_.method)];
}

bool KmsService::Call::IsOurOwn() const {
  return method_.method == KmsMethod::kStatus && context_.client_metadata().count(kOurOwnCall) > 0;
}

void KmsService::Call::Count(absl::StatusCode code) const {
  const Clock::duration took = Clock::now() - came_at_;
  Debug([&] {
    return absl::StrCat(Name(), ": ", absl::StatusCodeToString(code), " in ",
                        std::chrono::duration_cast<milliseconds>(took).count(), " ms");
  });
  if (!IsOurOwn()) service_.counters_.Answered(method_.method, code, took);
  service_.calls_.Answered(ticket_);
}

void KmsService::Call::Succeed(const grpc::ByteBuffer& answer) {
  Count(absl::StatusCode::kOk);
  responder_.Finish(answer, grpc::Status::OK, this);
}

void KmsService::Call::Fail(const absl::Status& status) {
  Count(status.code());
  responder_.FinishWithError(ToGrpc(status), this);
}

void KmsService::Call::FailLogged(const absl::Status& status) {
  service_.failures_.Add(Name(), uid_, key_id_, status);
  Fail(status);
}

void KmsService::Call::Status() {
  service_.keys_.Status(deadline_, [this](absl::StatusOr<std::string> key_id) {
    if (!key_id.ok()) {
      // An error rather than a healthz text: with a text, the apiserver would go on to write under
      // its old seed for ever.
      Fail(key_id.status());
      return;
    }
    v2::StatusResponse answer;
    answer.set_version(kApiVersion);
    answer.set_healthz(kHealthy);
    answer.set_key_id(*std::move(key_id));
    Succeed(Wire(answer));
  });
}

void KmsService::Call::Encrypt() {
  wire::EncryptRequest message;
  absl::Status parsed = Parse(request_, message);
  Secret plaintext(AsBytes(message.plaintext()));
  Wipe(*message.mutable_plaintext());
  uid_ = std::move(*message.mutable_uid());
  if (parsed.ok()) parsed = CheckText("uid", uid_);
  if (!parsed.ok()) {
    FailLogged(parsed);
    return;
  }
  service_.keys_.Encrypt(std::move(plaintext), deadline_, [this](absl::StatusOr<Encrypted> result) {
    if (!result.ok()) {
      FailLogged(result.status());
      return;
    }
    v2::EncryptResponse answer;
    answer.set_key_id(std::move(result->key_id));
    answer.set_ciphertext(std::move(result->ciphertext.bytes));
    for (auto& [name, value] : result->ciphertext.annotations) {
      (*answer.mutable_annotations())[name] = std::move(value);
    }
    Succeed(Wire(answer));
  });
}

void KmsService::Call::Decrypt() {
  // No secret is in it: its parts may stand on the stack.
  std::array<char, 1024> memory;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  google::protobuf::Arena arena(memory.data(), memory.size());
  wire::DecryptRequest& message =
      *google::protobuf::Arena::CreateMessage<wire::DecryptRequest>(&arena);
  absl::Status parsed = Parse(request_, message);
  uid_ = std::move(*message.mutable_uid());
  key_id_ = std::move(*message.mutable_key_id());
  Ciphertext ciphertext{std::move(*message.mutable_ciphertext()), {}};
  if (parsed.ok()) parsed = CheckText("uid", uid_);
  if (parsed.ok()) parsed = CheckText("key id", key_id_);
  for (auto& annotation : *message.mutable_annotations()) {
    if (parsed.ok()) parsed = CheckText("name of an annotation", annotation.name());
    ciphertext.annotations[annotation.name()] = std::move(*annotation.mutable_value());
  }
  if (!parsed.ok()) {
    FailLogged(parsed);
    return;
  }
  service_.keys_.Decrypt(key_id_, std::move(ciphertext), deadline_,
                         [this](absl::StatusOr<Secret> plaintext) {
                           if (!plaintext.ok()) {
                             FailLogged(plaintext.status());
                             return;
                           }
                           v2::DecryptResponse answer;
                           const ByteView bytes = plaintext->Reveal();
                           answer.set_plaintext(bytes.data(), bytes.size());
                           const grpc::ByteBuffer wire = Wire(answer);
                           Wipe(*answer.mutable_plaintext());
                           Succeed(wire);
                         });
}

Deadline KmsService::DeadlineOf(const grpc::ServerContext& context, Deadline now) const {
  // Not as a time of day: a clock that is set at this moment would end the call.
  const gpr_timespec theirs = context.raw_deadline();
  const milliseconds left(gpr_time_to_millis(gpr_time_sub(theirs, gpr_now(theirs.clock_type))));
  return now + std::min(timeout_, left - std::min(kAnswerMargin, left / 10));
}

}  // namespace okms
