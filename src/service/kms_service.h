// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The three calls of KMS v2, in gRPC's terms. For KmsServer alone.

#ifndef OKMS_SERVICE_KMS_SERVICE_H_
#define OKMS_SERVICE_KMS_SERVICE_H_

#include <grpcpp/grpcpp.h>

#include <chrono>

#include "base/deadline.h"
#include "base/log.h"
#include "core/key_manager.h"
#include "kms/v2/api.grpc.pb.h"
#include "service/call_counters.h"
#include "service/completions.h"
#include "service/failure_log.h"
#include "service/open_calls.h"

namespace okms {

// Metadata of the calls that we make to ourselves, which are not counted: nobody asked for them.
inline constexpr char kOurOwnCall[] = "okms-own";

class KmsService final {
 public:
  KmsService(KeyManager& keys, const Logger& log, std::chrono::milliseconds timeout)
      : keys_(keys), failures_(log), timeout_(timeout) {}

  // What gRPC is to be told of, before it starts.
  grpc::Service& methods() { return methods_; }
  // Takes calls from now on, until the server stops.
  void Begin(Completions& completions);

  const OpenCalls& calls() const { return calls_; }
  const CallCounters& counters() const { return counters_; }
  FailureLog& failures() { return failures_; }

 private:
  class Call;
  struct Method;
  static const Method kMethods[];

  // All take and give bytes rather than messages: what gRPC hands over are the very buffers that it
  // read into, part of which it keeps for as long as the connection lives, and only here can they
  // be wiped.
  using Methods = v2::KeyManagementService::WithRawMethod_Status<
      v2::KeyManagementService::WithRawMethod_Encrypt<
          v2::KeyManagementService::WithRawMethod_Decrypt<v2::KeyManagementService::Service>>>;

  Deadline DeadlineOf(const grpc::ServerContext& context, Deadline now) const;

  KeyManager& keys_;
  FailureLog failures_;
  const std::chrono::milliseconds timeout_;
  OpenCalls calls_;
  Methods methods_;
  CallCounters counters_;
};

}  // namespace okms

#endif  // OKMS_SERVICE_KMS_SERVICE_H_
