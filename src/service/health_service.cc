// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "service/health_service.h"

#include "kms/v2/api.grpc.pb.h"

namespace okms {
namespace {

namespace health = ::grpc::health::v1;

}  // namespace

class HealthService::Call final : public Completions::Call {
 public:
  Call(HealthService& service, Completions& completions)
      : Completions::Call(completions), service_(service) {
    grpc::ServerCompletionQueue* const queue = completions.queue();
    service.methods_.RequestCheck(&context_, &request_, &responder_, queue, queue, this);
  }

 private:
  void ExpectNext() override { new Call(service_, completions()); }

  void Came() override {
    if (!request_.service().empty() &&
        request_.service() != v2::KeyManagementService::service_full_name()) {
      responder_.FinishWithError({grpc::StatusCode::NOT_FOUND, "there is no such service"}, this);
      return;
    }
    health::HealthCheckResponse answer;
    answer.set_status(service_.keys_.Current().status.ok()
                          ? health::HealthCheckResponse::SERVING
                          : health::HealthCheckResponse::NOT_SERVING);
    responder_.Finish(answer, grpc::Status::OK, this);
  }

  HealthService& service_;
  grpc::ServerContext context_;
  health::HealthCheckRequest request_;
  grpc::ServerAsyncResponseWriter<health::HealthCheckResponse> responder_{&context_};
};

void HealthService::Begin(Completions& completions) { new Call(*this, completions); }

}  // namespace okms
