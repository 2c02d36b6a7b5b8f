// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The queue in front of the KMIP sessions.

#ifndef OKMS_KMIP_SESSION_POOL_H_
#define OKMS_KMIP_SESSION_POOL_H_

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "kmip/session.h"
#include "net/stream.h"

namespace okms::kmip {

// What may come in herds must not take all sessions, nor the queue, from what comes seldom.
enum class Rank { kSeldom, kHerd };

// Work waits in a queue; each worker thread owns at most one session and serves one piece at a
// time, so no lock is ever held over I/O. Workers start when there is work that no idle one can
// take. The one that was idle last goes first: under light load one session is kept warm and the
// others rest. What comes seldom goes first, and herds have a queue and a limit of their own.
// Thread-safe.
//
// A session that breaks is thrown away, and the work is tried once more on a fresh one while its
// deadline allows.
class SessionPool {
 public:
  static constexpr std::size_t kMaxWaiting = 1024;  // of each rank

  // `dialer` and `known` must outlive the pool. Herds take `max_herd` of the sessions at most.
  SessionPool(Dialer& dialer, KnownServer& known, std::size_t max_sessions, std::size_t max_herd)
      : dialer_(dialer), known_(known), max_sessions_(max_sessions), max_herd_(max_herd) {}

  // Waits for the work under way, which ends at once when the dialer was cancelled; what still
  // waits in the queue ends with kCancelled.
  ~SessionPool();
  SessionPool(const SessionPool&) = delete;
  SessionPool& operator=(const SessionPool&) = delete;

  // Has `work` called with a session, perhaps twice, then `done` once with the last result, both on
  // a thread of the pool. Does not block. `done` gets kResourceExhausted at once, on the caller's
  // thread, when too much is waiting.
  template <typename T>
  void Run(Rank rank, Deadline deadline,
           absl::AnyInvocable<absl::StatusOr<T>(Session&, Deadline)> work,
           absl::AnyInvocable<void(absl::StatusOr<T>)> done) {
    Submit(std::make_unique<TypedJob<T>>(rank, deadline, std::move(work), std::move(done)));
  }

 private:
  struct Job {
    Job(Rank r, Deadline until) : rank(r), deadline(until) {}
    virtual ~Job() = default;
    virtual absl::Status Attempt(Session& session) = 0;
    virtual void Finish(absl::Status status) = 0;
    const Rank rank;
    const Deadline deadline;
  };

  template <typename T>
  struct TypedJob : Job {
    TypedJob(Rank r, Deadline until, absl::AnyInvocable<absl::StatusOr<T>(Session&, Deadline)> w,
             absl::AnyInvocable<void(absl::StatusOr<T>)> d)
        : Job(r, until), work(std::move(w)), done(std::move(d)) {}
    absl::Status Attempt(Session& session) override {
      result = work(session, this->deadline);
      return result.status();
    }
    void Finish(absl::Status status) override {
      if (status.ok()) {
        done(std::move(result));
      } else {
        done(std::move(status));
      }
    }
    absl::AnyInvocable<absl::StatusOr<T>(Session&, Deadline)> work;
    absl::AnyInvocable<void(absl::StatusOr<T>)> done;
    absl::StatusOr<T> result{absl::UnknownError("not run")};
  };

  struct Worker {
    std::thread thread;
    std::condition_variable wake;
    std::unique_ptr<Job> job;  // handed over while idle; guarded by mutex_
  };

  void Submit(std::unique_ptr<Job> job);
  // Takes the job over only when it returns OK.
  absl::Status Accept(std::unique_ptr<Job>& job);
  void WorkerLoop(Worker& self);
  // The next piece of work, or null when the pool stops. `before`: of what rank the last one was.
  std::unique_ptr<Job> NextJob(Worker& self, std::optional<Rank> before,
                               std::unique_ptr<Session>& session);
  // With the lock held: from the queue, null when there is none for now.
  std::unique_ptr<Job> TakeWaiting();
  absl::Status RunJob(Job& job, std::unique_ptr<Session>& session);

  Dialer& dialer_;
  KnownServer& known_;
  const std::size_t max_sessions_;
  const std::size_t max_herd_;

  std::mutex mutex_;  // guards all below
  bool stopping_ = false;
  std::deque<std::unique_ptr<Job>> seldom_;  // those that wait
  std::deque<std::unique_ptr<Job>> herd_;
  std::size_t herd_running_ = 0;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<Worker*> idle_;  // the last one in is the first one out
};

}  // namespace okms::kmip

#endif  // OKMS_KMIP_SESSION_POOL_H_
