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

class OtherCalls::Call final : public Completions::Call {
 public:
  Call(OtherCalls& calls, Completions& completions)
      : Completions::Call(completions), calls_(calls) {
    grpc::ServerCompletionQueue* const queue = completions.queue();
    calls.methods_.RequestCall(&context_, &stream_, queue, queue, this);
  }

 private:
  void ExpectNext() override { new Call(calls_, completions()); }
  void Came() override {
    calls_.count_.Add();
    stream_.Finish(calls_.Refusal(context_.method()), this);
  }

  OtherCalls& calls_;
  grpc::GenericServerContext context_;
  grpc::GenericServerAsyncReaderWriter stream_{&context_};
};

void OtherCalls::Begin(Completions& completions) { new Call(*this, completions); }

grpc::Status OtherCalls::Refusal(const std::string& method) {
  if (!IsOlder(method)) return {grpc::StatusCode::UNIMPLEMENTED, "KMS v2 has no such method"};
  if (!std::exchange(logged_, true)) {
    log_.Error(EventName::kOldApiRefused,
               absl::StrCat("refused the call ", Printable(method, 80), ": ", kSetVersion));
  }
  return {grpc::StatusCode::UNIMPLEMENTED, kSetVersion};
}

}  // namespace okms
