// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "service/health_service.h"

#include "service/answerable.h"

namespace okms {
namespace {

namespace health = ::grpc::health::v1;

}  // namespace

// As OtherCalls'.
class HealthService::Call final : public Completions::Tag {
 public:
  Call(HealthService& service, Completions& completions)
      : Tag(completions), service_(service), completions_(completions) {
    grpc::ServerCompletionQueue* const queue = completions.queue();
    service.methods_.RequestCheck(&context_, &request_, &responder_, queue, queue, this);
  }

  void Completed(bool ok) override {
    if (came_ || !ok) {
      delete this;
      return;
    }
    came_ = true;
    new Call(service_, completions_);
    if (!request_.service().empty() && request_.service() != "v2.KeyManagementService") {
      responder_.FinishWithError({grpc::StatusCode::NOT_FOUND, "there is no such service"}, this);
      return;
    }
    health::HealthCheckResponse answer;
    answer.set_status(service_.Serving() ? health::HealthCheckResponse::SERVING
                                         : health::HealthCheckResponse::NOT_SERVING);
    responder_.Finish(answer, grpc::Status::OK, this);
  }

 private:
  HealthService& service_;
  Completions& completions_;
  grpc::ServerContext context_;
  health::HealthCheckRequest request_;
  grpc::ServerAsyncResponseWriter<health::HealthCheckResponse> responder_{&context_};
  bool came_ = false;
};

void HealthService::Begin(Completions& completions) { new Call(*this, completions); }

bool HealthService::Serving() const {
  const Health now = keys_.Current();
  return now.status.ok() && Answerable(now.key_id).ok();
}

}  // namespace okms
