// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Calls that are not of KMS v2. For KmsServer alone.

#ifndef OKMS_SERVICE_OTHER_CALLS_H_
#define OKMS_SERVICE_OTHER_CALLS_H_

#include <grpcpp/grpcpp.h>
#if __has_include(<grpcpp/generic/callback_generic_service.h>)  // newer releases
#include <grpcpp/generic/callback_generic_service.h>
#else
#include <grpcpp/generic/async_generic_service.h>
#endif

#include <atomic>
#include <cstdint>

#include "base/counter.h"
#include "base/log.h"

namespace okms {

// An EncryptionConfiguration without apiVersion means v1, and gRPC itself would refuse that without
// a word. The reason is answered each time, and logged once: the apiserver asks every few seconds.
class OtherCalls final : public grpc::CallbackGenericService {
 public:
  explicit OtherCalls(const Logger& log) : log_(log) {}

  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* call) override;

  // How many were refused.
  uint64_t count() const { return count_.value(); }

 private:
  const Logger& log_;
  Counter count_;
  std::atomic<bool> logged_ = false;
};

}  // namespace okms

#endif  // OKMS_SERVICE_OTHER_CALLS_H_
