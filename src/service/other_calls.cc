// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "service/other_calls.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status.h"

namespace okms {
namespace {

constexpr char kSetVersion[] =
    "this plugin serves KMS v2; set apiVersion: v2 for it in kube-apiserver's "
    "EncryptionConfiguration";

// v1beta1 is the wire's name of v1; v2alpha1 came before v2.
bool IsOlder(absl::string_view method) {
  return absl::StartsWith(method, "/v1") || absl::StartsWith(method, "/v2alpha1.");
}

}  // namespace

// As KmsService's, and without anybody to wait for.
class OtherCalls::Call final : public Completions::Tag {
 public:
  Call(OtherCalls& calls, Completions& completions)
      : Tag(completions), calls_(calls), completions_(completions) {
    grpc::ServerCompletionQueue* const queue = completions.queue();
    calls.methods_.RequestCall(&context_, &stream_, queue, queue, this);
  }

  void Completed(bool ok) override {
    if (came_ || !ok) {
      delete this;
      return;
    }
    came_ = true;
    new Call(calls_, completions_);
    stream_.Finish(calls_.Refusal(context_.method()), this);
  }

 private:
  OtherCalls& calls_;
  Completions& completions_;
  grpc::GenericServerContext context_;
  grpc::GenericServerAsyncReaderWriter stream_{&context_};
  bool came_ = false;
};

void OtherCalls::Begin(Completions& completions) { new Call(*this, completions); }

grpc::Status OtherCalls::Refusal(const std::string& method) {
  if (!IsOlder(method)) return {grpc::StatusCode::UNIMPLEMENTED, "KMS v2 has no such method"};
  if (!std::exchange(logged_, true)) {
    log_.Error(absl::StrCat("refused the call ", Printable(method, 80), ": ", kSetVersion));
  }
  return {grpc::StatusCode::UNIMPLEMENTED, kSetVersion};
}

}  // namespace okms
