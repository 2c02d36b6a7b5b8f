// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "mock_kms/mock_okms.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "mock_kms/rest_spoil.h"

namespace okms::test {
namespace {

constexpr std::size_t kMaxRequests = 10'000;

}  // namespace

MockOkms::MockOkms(const MockOkmsOptions& options, KeyStore& keys)
    : address_(options.address),
      okms_id_(options.okms_id),
      keys_(keys),
      api_(options.okms_id, options.page_size, keys),
      delay_(options.delay) {}

absl::StatusOr<std::unique_ptr<MockOkms>> MockOkms::Start(const MockOkmsOptions& options,
                                                          KeyStore& keys) {
  std::unique_ptr<MockOkms> okms(new MockOkms(options, keys));
  OKMS_ASSIGN_OR_RETURN(
      okms->server_,
      RestServer::Start(
          options.address, options.port,
          {options.certificate, options.key, options.client_ca, options.clients},
          [self = okms.get()](RestRequest request) { return self->Serve(std::move(request)); }));
  return okms;
}

MockOkms::~MockOkms() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  server_.reset();
}

std::string MockOkms::url() const { return absl::StrCat("https://", address_, ":", port()); }

void MockOkms::SetFault(std::optional<RestFault> fault) {
  const std::lock_guard lock(mutex_);
  fault_ = std::move(fault);
}

void MockOkms::Hold() {
  const std::lock_guard lock(mutex_);
  holding_ = true;
}

void MockOkms::Release() {
  const std::lock_guard lock(mutex_);
  holding_ = false;
  changed_.notify_all();
}

bool MockOkms::AwaitHeld(std::size_t count, std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, limit, [&] { return holding_ && held_ >= count; });
}

std::vector<RestRequest> MockOkms::Requests() const {
  const std::lock_guard lock(mutex_);
  return {requests_.begin(), requests_.end()};
}

void MockOkms::ClearRequests() {
  const std::lock_guard lock(mutex_);
  requests_.clear();
}

std::optional<RestFault> MockOkms::TakeFault(std::optional<RestCall> call) {
  const std::lock_guard lock(mutex_);
  if (!fault_ || fault_->times == 0) return std::nullopt;
  if (fault_->call && fault_->call != call) return std::nullopt;
  if (fault_->times > 0) --fault_->times;
  return fault_;
}

RestReply MockOkms::Serve(RestRequest request) {
  const auto delay = delay_.load();
  std::unique_lock lock(mutex_);
  requests_.push_back(request);
  if (requests_.size() > kMaxRequests) requests_.pop_front();
  if (delay.count() > 0) changed_.wait_for(lock, delay, [&] { return stopping_; });
  ++held_;
  changed_.notify_all();
  changed_.wait(lock, [&] { return stopping_ || !holding_; });
  --held_;
  if (stopping_) return {.delivery = Delivery::kClosed};
  lock.unlock();
  return Answer(request);
}

RestReply MockOkms::Answer(const RestRequest& request) {
  const std::optional<RestCall> call = CallOf(request);
  const std::optional<RestFault> fault = TakeFault(call);
  if (!fault) return {api_.Answer(request)};
  switch (fault->kind) {
    case RestFaultKind::kHang: return {.delivery = Delivery::kNever};
    case RestFaultKind::kClose: return {.delivery = Delivery::kClosed};
    case RestFaultKind::kTruncate: return {api_.Answer(request), Delivery::kHalf};
    default: break;
  }
  if (auto instead = Substitute(*fault, call, request)) return {*std::move(instead)};
  RestReply reply{api_.Answer(BeforeSpoiling(*fault, request))};
  Spoil(*fault, call, reply.response);
  return reply;
}

}  // namespace okms::test
