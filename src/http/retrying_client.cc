// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "http/retrying_client.h"

#include <openssl/rand.h>

#include <algorithm>
#include <chrono>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/backoff.h"
#include "base/debug.h"
#include "base/status.h"

namespace okms::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kAttempts = 5;
constexpr milliseconds kFirstPause{100};
constexpr milliseconds kLongestPause{800};
constexpr seconds kLongestRetryAfter{5};

bool MayHelp(const absl::StatusOr<HttpResponse>& result) {
  if (!result.ok()) return absl::IsUnavailable(result.status());
  return result->status == 429 || (result->status >= 500 && result->status != 501);
}

Counter& OutcomeOf(const absl::StatusOr<HttpResponse>& result, Traffic& traffic) {
  if (!result.ok()) return traffic.failed;
  return result->status / 100 == 2 ? traffic.succeeded : traffic.refused;
}

// How long to wait after attempt `number`.
milliseconds Pause(int number, const absl::StatusOr<HttpResponse>& result) {
  // Clients that failed together must not come back together: half of the pause is random.
  uint8_t random = 0;
  if (RAND_bytes(&random, 1) != 1) random = 0;
  const milliseconds full = Backoff(number, kFirstPause, kLongestPause);
  const milliseconds pause = full / 2 + full * random / 512;
  if (!result.ok() || !result->retry_after) return pause;
  return std::clamp(*result->retry_after, seconds(0), kLongestRetryAfter) + pause;
}

}  // namespace

void RetryingClient::Attempt(int number, std::shared_ptr<const HttpRequest> request,
                             Clock::time_point earliest, Deadline deadline,
                             Done<HttpResponse> done) {
  client_->Send(request, earliest, deadline,
                [this, number, request, deadline,
                 done = std::move(done)](absl::StatusOr<HttpResponse> result) mutable {
                  const auto again = Clock::now() + Pause(number, result);
                  if (number == kAttempts || !MayHelp(result) || again >= deadline) {
                    OutcomeOf(result, traffic_).Add();
                    done(std::move(result));
                  } else {
                    traffic_.retries.Add();
                    Debug([&] {
                      return absl::StrCat("REST: attempt ", number + 1, " follows, after ",
                                          result.ok() ? absl::StrCat("HTTP ", result->status)
                                                      : Message(result.status()));
                    });
                    Attempt(number + 1, std::move(request), again, deadline, std::move(done));
                  }
                });
}

}  // namespace okms::http
