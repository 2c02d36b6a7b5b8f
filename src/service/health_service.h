// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// grpc.health.v1 beside KMS v2. For KmsServer alone.

#ifndef OKMS_SERVICE_HEALTH_SERVICE_H_
#define OKMS_SERVICE_HEALTH_SERVICE_H_

#include <grpcpp/grpcpp.h>

#include "core/key_manager.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "service/completions.h"

namespace okms {

// By the verdict that Status gives, without waiting for one and with no question to the KMS. gRPC
// has such a service too, whose calls are those of its callback API: with it come the threads that
// Completions does without.
class HealthService final {
 public:
  explicit HealthService(const KeyManager& keys) : keys_(keys) {}

  // See KmsService.
  grpc::Service& methods() { return methods_; }
  void Begin(Completions& completions);

 private:
  class Call;
  using Methods =
      ::grpc::health::v1::Health::WithAsyncMethod_Check<::grpc::health::v1::Health::Service>;

  const KeyManager& keys_;
  Methods methods_;
};

}  // namespace okms

#endif  // OKMS_SERVICE_HEALTH_SERVICE_H_
