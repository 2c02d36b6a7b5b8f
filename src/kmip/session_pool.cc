// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "kmip/session_pool.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/debug.h"
#include "base/status.h"

namespace okms::kmip {
namespace {

// An idle session is closed after this long: servers and firewalls drop idle connections after
// 30 seconds to some minutes, and what is closed in order cannot be found dead later.
constexpr std::chrono::seconds kIdleSession{60};

bool WorthRetrying(absl::StatusCode code) {
  return code == absl::StatusCode::kUnavailable || code == absl::StatusCode::kDataLoss;
}

absl::Status Stopping() { return absl::CancelledError("the plugin is stopping"); }

}  // namespace

SessionPool::~SessionPool() {
  std::deque<std::unique_ptr<Job>> abandoned[2];
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    abandoned[0].swap(seldom_);
    abandoned[1].swap(herd_);
    for (const auto& worker : workers_) worker->wake.notify_one();
  }
  for (const auto& jobs : abandoned) {
    for (const auto& job : jobs) job->Finish(Stopping());
  }
  for (const auto& worker : workers_) worker->thread.join();
}

void SessionPool::Submit(std::unique_ptr<Job> job) {
  if (absl::Status refusal = Accept(job); !refusal.ok()) job->Finish(std::move(refusal));
}

absl::Status SessionPool::Accept(std::unique_ptr<Job>& job) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return Stopping();
  const bool in_herd = job->rank == Rank::kHerd;
  std::deque<std::unique_ptr<Job>>& waiting = in_herd ? herd_ : seldom_;
  const bool room = !in_herd || herd_running_ + herd_.size() < max_herd_;
  if (room && !idle_.empty()) {
    Worker* worker = idle_.back();
    idle_.pop_back();
    if (in_herd) ++herd_running_;
    worker->job = std::move(job);
    worker->wake.notify_one();
    return absl::OkStatus();
  }
  if (waiting.size() >= kMaxWaiting) {
    return absl::ResourceExhaustedError("too many requests are waiting for the KMS");
  }
  if (room && workers_.size() < max_sessions_) {
    auto worker = std::make_unique<Worker>();
    try {
      worker->thread = std::thread([this, self = worker.get()] { WorkerLoop(*self); });
      workers_.push_back(std::move(worker));
    } catch (const std::system_error&) {
      // The workers that there are will come to it; without any there is nobody to wait for.
      if (workers_.empty()) return absl::ResourceExhaustedError("cannot start a thread");
    }
  }
  waiting.push_back(std::move(job));
  return absl::OkStatus();
}

void SessionPool::WorkerLoop(Worker& self) {
  std::unique_ptr<Session> session;
  std::optional<Rank> before;
  // What a piece of work holds must not outlive it.
  while (std::unique_ptr<Job> job = NextJob(self, before, session)) {
    before = job->rank;
    job->Finish(RunJob(*job, session));
  }
}

std::unique_ptr<SessionPool::Job> SessionPool::TakeWaiting() {
  const bool herd = seldom_.empty() && herd_running_ < max_herd_;
  std::deque<std::unique_ptr<Job>>& waiting = herd ? herd_ : seldom_;
  if (waiting.empty()) return nullptr;
  if (herd) ++herd_running_;
  std::unique_ptr<Job> job = std::move(waiting.front());
  waiting.pop_front();
  return job;
}

std::unique_ptr<SessionPool::Job> SessionPool::NextJob(Worker& self, std::optional<Rank> before,
                                                       std::unique_ptr<Session>& session) {
  std::unique_lock lock(mutex_);
  if (before == Rank::kHerd) --herd_running_;
  if (std::unique_ptr<Job> job = TakeWaiting()) return job;
  idle_.push_back(&self);
  const auto called = [&] { return self.job != nullptr || stopping_; };
  if (session != nullptr && !self.wake.wait_for(lock, kIdleSession, called)) {
    lock.unlock();
    Debug([]() -> std::string { return "KMIP session closed, idle for a minute"; });
    session.reset();
    lock.lock();
  }
  self.wake.wait(lock, called);
  return std::move(self.job);
}

absl::Status SessionPool::RunJob(Job& job, std::unique_ptr<Session>& session) {
  absl::Status status;
  int dials = known_.MostDials();
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (attempt > 0) {
      Debug([&] { return absl::StrCat("KMIP: tried again after: ", Message(status)); });
    }
    if (Expired(job.deadline)) {
      return status.ok() ? absl::DeadlineExceededError("the KMS was busy for too long") : status;
    }
    if (session != nullptr && !session->IsQuiet()) {
      Debug([]() -> std::string { return "KMIP session given up, no longer fit to use"; });
      session.reset();
    }
    if (session == nullptr) {
      if (dials == 0) return status;
      auto opened = Session::Open(dialer_, known_, dials, job.deadline);
      if (!opened.ok()) {
        status = opened.status();
        if (!WorthRetrying(status.code())) return status;
        continue;
      }
      session = *std::move(opened);
    }
    status = job.Attempt(*session);
    if (session->version_refused()) {
      status = session->Renegotiate(job.deadline);
      if (status.ok()) status = job.Attempt(*session);
    }
    session->Forget();
    // An answer that is not ours may be the one to an earlier request: who is a reply behind could
    // hand one call's plaintext to another.
    if (session->usable() && !absl::IsDataLoss(status)) return status;
    session.reset();
    if (!WorthRetrying(status.code())) return status;
  }
  return status;
}

}  // namespace okms::kmip
