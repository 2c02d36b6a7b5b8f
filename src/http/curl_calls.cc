// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "http/curl_calls.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "http/curl_error.h"
#include "net/refused_certificate.h"

namespace okms::http {
namespace {

constexpr std::size_t kMaxUnderWay = 1024;
constexpr std::chrono::milliseconds kRest{500};  // after the last call, until buffers are freed
constexpr std::chrono::milliseconds kLate{50};   // when libcurl's own time-out does not come

absl::Status Stopping() { return absl::CancelledError("the plugin is stopping"); }

}  // namespace

CurlCalls::CurlCalls(IoLoop& loop, std::shared_ptr<const TlsContext> tls, HttpsUrl base,
                     std::optional<Proxy> proxy, std::size_t most_connections, Traffic& traffic,
                     const std::string& name_servers)
    : loop_(loop),
      base_(std::move(base)),
      peer_(base_.server.ToString()),
      proxy_(std::move(proxy)),
      traffic_(traffic),
      names_(loop, base_.server, proxy_, traffic, name_servers, [this] { StartDue(); }),
      template_(std::move(tls), base_.server.host),
      multi_(loop, most_connections, traffic, [this] { Look(); }) {}

absl::Status CurlCalls::Start() {
  if (!multi_.Open()) return absl::FailedPreconditionError("libcurl: no multi handle");
  return template_.Make(proxy_, multi_.connections());
}

absl::Status CurlCalls::Admit() {
  if (stopping_) return Stopping();
  if (++under_way_ <= kMaxUnderWay) return absl::OkStatus();
  --under_way_;
  traffic_.turned_away.Add();
  return absl::ResourceExhaustedError(
      absl::StrCat(kMaxUnderWay, " calls to the KMS are under way already"));
}

void CurlCalls::Add(Job job) {
  if (stopping_) return Answer(job, Stopping());
  if (job.earliest <= Clock::now()) {
    Begin(std::move(job));
    return;
  }
  const auto place = delayed_.insert(delayed_.end(), std::move(job));
  place->timer = loop_.At(place->earliest, [this, place] {
    Job due = std::move(*place);
    delayed_.erase(place);
    Begin(std::move(due));
  });
}

void CurlCalls::Begin(Job job) {
  job.due = Clock::now();
  MakeDue(std::move(job));
  names_.Refresh();
  StartDue();
}

void CurlCalls::MakeDue(Job job) {
  job.timer = loop_.At(job.deadline, [this] { StartDue(); });
  due_.push_back(std::move(job));
}

void CurlCalls::StartDue() {
  for (auto next = due_.begin(); next != due_.end();) {
    const absl::StatusOr<bool> ready = names_.Ready(next->deadline);
    const auto job = next++;
    if (ready.ok() && !*ready) continue;
    Job taken = std::move(*job);
    due_.erase(job);
    if (ready.ok()) {
      StartTransfer(std::move(taken));
    } else {
      Answer(taken, ready.status());
    }
  }
}

void CurlCalls::StartTransfer(Job job) {
  if (Expired(job.deadline)) {
    Answer(job, absl::DeadlineExceededError(absl::StrCat(peer_, ": no answer in time")));
    return;
  }
  auto transfer = std::make_unique<Transfer>();
  transfer->job = std::move(job);
  transfer->connections = &multi_.connections();
  transfer->shared = &shared_;
  transfer->started = Clock::now();
  transfer->addresses = names_.Entries();
  transfer->easy = template_.Take();
  CURL* easy = transfer->easy.get();
  if (!Prepare(*transfer, base_.text) || !multi_.Add(easy)) {
    Answer(transfer->job, absl::InternalError("libcurl does not take the request"));
    return;
  }
  carried_secrets_ = carried_secrets_ || transfer->job.request->secret;
  // Those that wait for a connection libcurl (7.88, for one) lets wait beyond their time.
  transfer->job.timer = loop_.At(transfer->job.deadline + kLate,
                                 [this, easy] { Finish(easy, CURLE_OPERATION_TIMEDOUT); });
  transfers_.emplace(easy, std::move(transfer));
}

void CurlCalls::Look() {
  while (const auto ended = multi_.NextEnded()) Finish(ended->first, ended->second);
  ForgetRefusal();  // it was theirs
  if (std::exchange(was_shared_, shared_) && !shared_) Separate();
}

// libcurl (8.20, for one) would let them wait on, for one of the others to end.
void CurlCalls::Separate() {
  std::erase_if(transfers_, [this](auto& entry) {
    Transfer& transfer = *entry.second;
    if (!transfer.waits) return false;
    TakeBack(transfer);
    MakeDue(std::move(transfer.job));
    return true;
  });
  due_.sort([](const Job& a, const Job& b) { return a.due < b.due; });
  StartDue();
}

void CurlCalls::TakeBack(Transfer& transfer) {
  multi_.Remove(transfer.easy.get());
  Release(transfer);
  template_.GiveBack(std::move(transfer.easy));
}

void CurlCalls::Finish(CURL* easy, CURLcode code) {
  const auto found = transfers_.find(easy);
  const std::unique_ptr<Transfer> transfer = std::move(found->second);
  transfers_.erase(found);
  const absl::Status status = Outcome(*transfer, code);
  TellEnd(*transfer, status);
  CountSteps(*transfer, status.ok(), traffic_);
  TakeBack(*transfer);
  last_finish_ = Clock::now();
  if (transfer->job.request->secret) last_secret_ = last_finish_;
  if (status.ok()) {
    Answer(transfer->job, std::move(transfer->response));
  } else {
    Answer(transfer->job, status);
  }
  CleanUp();
}

absl::Status CurlCalls::Outcome(Transfer& transfer, CURLcode code) {
  CURL* easy = transfer.easy.get();
  if (code == CURLE_OPERATION_TIMEDOUT) {
    multi_.connections().CloseIfSilent(easy, transfer.started);
  }
  if (transfer.too_large) {
    return absl::DataLossError(
        absl::StrCat(peer_, ": an answer of more than ", kMaxAnswer, " bytes"));
  }
  if (code != CURLE_OK) names_.Suspect();
  if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY ||
      code == CURLE_ABORTED_BY_CALLBACK) {
    return names_.Failure(code, transfer.error.data());
  }
  if (code != CURLE_OK) return TransferError(easy, code, transfer.error.data(), base_.server);

  multi_.connections().Heard(easy);
  ReadHead(easy, transfer.response);
  return absl::OkStatus();
}

void CurlCalls::CleanUp() {
  if (!transfers_.empty()) return;
  const auto now = Clock::now();
  if (now >= last_finish_ + kRest) template_.FreeUsed();
  // The buffers of an open connection keep what came last. libcurl has no call to close idle ones,
  // but they go with their multi handle.
  if (carried_secrets_ && now >= last_secret_ + kRest) {
    template_.FreeUsed();
    carried_secrets_ = !multi_.Open();
    last_secret_ = now;  // to try again
  }
  Clock::time_point next = Clock::time_point::max();
  if (template_.has_used()) next = last_finish_ + kRest;
  if (carried_secrets_) next = std::min(next, last_secret_ + kRest);
  clean_up_.Stop();
  if (next != Clock::time_point::max()) clean_up_ = loop_.At(next, [this] { CleanUp(); });
}

void CurlCalls::Stop() {
  stopping_ = true;
  std::list<Job> all = std::move(due_);
  all.splice(all.end(), delayed_);
  for (auto& [easy, transfer] : transfers_) {
    multi_.Remove(easy);
    all.push_back(std::move(transfer->job));
  }
  transfers_.clear();
  multi_.Close();
  clean_up_.Stop();
  for (Job& job : all) {
    job.timer.Stop();
    Answer(job, Stopping());
  }
}

void CurlCalls::Answer(Job& job, absl::StatusOr<HttpResponse> result) {
  --under_way_;
  job.done(std::move(result));
}

}  // namespace okms::http
