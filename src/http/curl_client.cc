// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What of CurlCalls any thread may see.

#include "http/curl_client.h"

#include <utility>

#include "base/status.h"
#include "http/curl_calls.h"
#include "http/libcurl.h"

namespace okms::http {

absl::StatusOr<std::unique_ptr<CurlClient>> CurlClient::Create(
    IoLoop& loop, std::shared_ptr<const TlsContext> tls, HttpsUrl base, std::optional<Proxy> proxy,
    std::size_t most_connections, Traffic& traffic, const std::string& name_servers) {
  OKMS_RETURN_IF_ERROR(LoadLibCurl());
  auto calls = std::make_unique<CurlCalls>(loop, std::move(tls), std::move(base), std::move(proxy),
                                           most_connections, traffic, name_servers);
  OKMS_RETURN_IF_ERROR(calls->Start());
  return std::unique_ptr<CurlClient>(new CurlClient(loop, std::move(calls)));
}

CurlClient::CurlClient(IoLoop& loop, std::unique_ptr<CurlCalls> calls)
    : loop_(loop), calls_(calls.release(), {&loop}) {}

CurlClient::~CurlClient() {
  // By itself: what was posted for the calls is gone only when they are deleted, in a later turn.
  loop_.RunInTurn([this] { calls_->Stop(); });
}

void CurlClient::Send(std::shared_ptr<const HttpRequest> request, Clock::time_point earliest,
                      Deadline deadline, Done<HttpResponse> done) {
  if (absl::Status status = calls_->Admit(); !status.ok()) return done(std::move(status));
  loop_.Post([calls = calls_.get(),
              job = Job{std::move(request), earliest, deadline, std::move(done)}]() mutable {
    calls->Add(std::move(job));
  });
}

}  // namespace okms::http
