// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Calls that are not of KMS v2. For KmsServer alone.

#ifndef OKMS_SERVICE_OTHER_CALLS_H_
#define OKMS_SERVICE_OTHER_CALLS_H_

#include <grpcpp/generic/async_generic_service.h>

#include <cstdint>
#include <string>

#include "base/counter.h"
#include "base/log.h"
#include "service/completions.h"

namespace okms {

// An EncryptionConfiguration without apiVersion means v1, and gRPC itself would refuse that without
// a word. The reason is answered each time, and logged once: the apiserver asks every few seconds.
class OtherCalls final {
 public:
  explicit OtherCalls(const Logger& log) : log_(log) {}

  // See KmsService.
  grpc::AsyncGenericService& methods() { return methods_; }
  void Begin(Completions& completions);

  // How many were refused.
  uint64_t count() const { return count_.value(); }

 private:
  class Call;

  grpc::Status Refusal(const std::string& method);

  const Logger& log_;
  grpc::AsyncGenericService methods_;
  Counter count_;
  bool logged_ = false;
};

}  // namespace okms

#endif  // OKMS_SERVICE_OTHER_CALLS_H_
