// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The sessions with the KMS, and the queue in front of them.

#ifndef OKMS_KMIP_SESSION_POOL_H_
#define OKMS_KMIP_SESSION_POOL_H_

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "kmip/batch_size.h"
#include "kmip/call.h"
#include "kmip/call_queue.h"
#include "kmip/counters.h"
#include "kmip/growth.h"
#include "kmip/known_server.h"
#include "kmip/session.h"
#include "net/channel.h"
#include "net/io_loop.h"

namespace okms::kmip {

// A session serves whoever comes first: checks, then Encrypts, then Decrypts by their deadline. As
// many are opened as the load needs, while calls wait, and closed when they have had nothing to do
// for a while. The one that was idle last goes first, so that under light load one is kept warm.
// When all are busy, Decrypts that wait travel together.
//
// What is asked while an Encrypt is answered is the proof of it, and goes by another session while
// there may be two: that one may lead to another replica, which must be able to read it, too.
//
// A session that breaks is thrown away, and what was under way on it is tried once more while its
// deadline allows.
class SessionPool : private Session::Owner {
 public:
  // All must outlive it. `most_sessions`: at least one.
  SessionPool(IoLoop& loop, Connector& connector, KnownServer& known, Counters& counters,
              std::size_t most_sessions)
      : loop_(loop),
        connector_(connector),
        known_(known),
        counters_(counters),
        growth_(most_sessions),
        queue_(counters) {}

  // What is under way and what waits ends with kCancelled. Not within the loop's turn.
  ~SessionPool() override;
  SessionPool(const SessionPool&) = delete;
  SessionPool& operator=(const SessionPool&) = delete;

  // Any thread. Does not block. The call finishes with kResourceExhausted at once when too many of
  // its rank are waiting, and with kDeadlineExceeded at its deadline, which the KMS does not see.
  void Submit(std::unique_ptr<Call> call);

 private:
  void Accept(std::unique_ptr<Call> call);
  void Expire(const Call& call);
  void Finish(std::unique_ptr<Call> call, const Outcome& outcome);
  // Has idle sessions work, and opens more when calls wait all the same.
  void Serve();
  // Those that the KMS could not answer in time any more.
  void DropLate(Rank rank);
  std::vector<std::unique_ptr<Call>> NextRequest(Rank rank);
  // An idle session that the call may travel on; null when there is none.
  Session* PickIdle(const Call& call);
  bool MayWork(Rank rank) const;
  void Grow();
  bool Wanted(Rank rank) const;
  void LookAgain(Deadline time);
  void OpeningFailed(const Session& session, const absl::Status& why);
  // Those that began before that time; whether there was one.
  bool DropOpenings(Deadline since);
  // Those that were idle before that time.
  void CloseIdle(Deadline since);
  void Tidy();

  std::size_t CountReady() const;
  std::size_t Sharing() const { return growth_.Sharing(CountReady()); }

  void Ready(Session& session, bool first) override;
  void Unready(Session&) override { Serve(); }
  void Broke(Session& session, const absl::Status& why,
             std::vector<std::unique_ptr<Call>> calls) override;
  void Took(std::chrono::nanoseconds time, std::size_t calls) override {
    batch_size_.Took(time, calls);
    counters_.traffic.request.took.Add(time);
    counters_.batch.Add(static_cast<int64_t>(calls));
  }
  void Again(std::unique_ptr<Call> call) override { queue_.Add(std::move(call)); }
  void Answer(Session& session, std::unique_ptr<Call> call, const Outcome& outcome) override;

  IoLoop& loop_;
  Connector& connector_;
  KnownServer& known_;
  Counters& counters_;

  // Of the turn.
  Growth growth_;
  BatchSize batch_size_;
  CallQueue queue_;
  std::vector<std::shared_ptr<Session>> sessions_;  // the one that was idle last comes last
  uint64_t last_id_ = 0;
  uint64_t proven_by_others_ = 0;         // the session whose Encrypt is being answered
  Deadline next_opening_;                 // while there is no session
  absl::Status opening_error_;            // of the openings since a session was there
  bool opening_error_connected_ = false;  // and whether it came after the connection was there
  Deadline look_again_at_;
  std::optional<IoLoop::Timer> look_again_;  // while calls wait
  std::optional<IoLoop::Timer> tidy_;        // while there are sessions
  // Whether this is still there, for what was posted.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace okms::kmip

#endif  // OKMS_KMIP_SESSION_POOL_H_
