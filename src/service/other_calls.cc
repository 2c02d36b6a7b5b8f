// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "service/other_calls.h"

#include <string>

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

class Refusal final : public grpc::ServerGenericBidiReactor {
 public:
  explicit Refusal(const std::string& why) {
    Finish(grpc::Status(grpc::StatusCode::UNIMPLEMENTED, why));
  }
  void OnDone() override { delete this; }
};

}  // namespace

grpc::ServerGenericBidiReactor* OtherCalls::CreateReactor(
    grpc::GenericCallbackServerContext* call) {
  count_.Add();
  if (!IsOlder(call->method())) return new Refusal("KMS v2 has no such method");
  if (!logged_.exchange(true)) {
    log_.Error(absl::StrCat("refused the call ", Printable(call->method(), 80), ": ", kSetVersion));
  }
  return new Refusal(kSetVersion);
}

}  // namespace okms
