// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "kmip/session_pool.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/debug.h"
#include "base/status.h"

namespace okms::kmip {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Servers and firewalls drop idle connections after 30 seconds to some minutes. What is closed in
// order cannot be found dead later.
constexpr seconds kIdle{20};
constexpr seconds kTidyInterval{5};
// A session more costs the KMS a handshake: a Decrypt waits for those that are there so long.
constexpr milliseconds kPatience{2};
// Between two openings that fail, with a server that was there.
constexpr milliseconds kPause{200};
// An opening has less time when it is in the way of another one.
constexpr seconds kInTheWay{2};

bool WorthRetrying(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDataLoss(status);
}

absl::Status Stopping() { return absl::CancelledError("the plugin is stopping"); }

absl::Status AsOf(const Call& call, const absl::Status& status) {
  const std::string what = absl::StrCat("KMIP ", ToString(call.operation));
  return absl::StartsWith(status.message(), what) ? status : Annotate(status, what);
}

}  // namespace

SessionPool::~SessionPool() {
  loop_.RunInTurn([this] {
    alive_.reset();
    look_again_.reset();
    tidy_.reset();
    std::vector<std::unique_ptr<Call>> calls = queue_.TakeAll();
    for (const std::shared_ptr<Session>& session : std::exchange(sessions_, {})) {
      for (std::unique_ptr<Call>& call : session->TakeCalls()) calls.push_back(std::move(call));
    }
    for (std::unique_ptr<Call>& call : calls) Finish(std::move(call), {Stopping(), false});
  });
}

void SessionPool::Submit(std::unique_ptr<Call> call) {
  if (loop_.InTurn()) call->not_on = proven_by_others_;
  loop_.Post([this, alive = std::weak_ptr(alive_), call = std::move(call)]() mutable {
    if (alive.expired()) {
      call->finish({Stopping(), false});
    } else {
      Accept(std::move(call));
    }
  });
}

void SessionPool::Accept(std::unique_ptr<Call> call) {
  if (queue_.IsFull(call->rank)) {
    counters_.traffic.turned_away.Add();
    Finish(std::move(call),
           {absl::ResourceExhaustedError("too many requests are waiting for the KMS"), false});
    return;
  }
  call->since = Clock::now();
  call->timer = loop_.At(call->deadline, [this, &waiting = *call] { Expire(waiting); });
  queue_.Add(std::move(call));
  Serve();
}

void SessionPool::Finish(std::unique_ptr<Call> call, const Outcome& outcome) {
  call->timer.Stop();
  Traffic& traffic = counters_.traffic;
  (outcome.status.ok() ? traffic.succeeded
   : outcome.answered  ? traffic.refused
                       : traffic.failed)
      .Add();
  call->finish(outcome);
}

void SessionPool::Answer(Session& session, std::unique_ptr<Call> call, const Outcome& outcome) {
  proven_by_others_ = call->rank == Rank::kEncrypt ? session.id() : 0;
  Finish(std::move(call), outcome);
  proven_by_others_ = 0;
}

void SessionPool::Expire(const Call& call) {
  if (std::unique_ptr<Call> waiting = queue_.Take(call)) {
    absl::Status status = absl::DeadlineExceededError("the KMS was busy for too long");
    if (CountReady() == 0) {
      for (const std::shared_ptr<Session>& session : sessions_) status = session->TooLate();
      if (!opening_error_.ok()) status = opening_error_;
    }
    Finish(std::move(waiting), {std::move(status), false});
    return;
  }
  for (const std::shared_ptr<Session>& session : std::vector(sessions_)) {
    const absl::Status status = session->TooLate();
    if (std::unique_ptr<Call> under_way = session->GiveUp(call)) {
      Finish(std::move(under_way), {status, false});
      return;
    }
  }
}

void SessionPool::Serve() {
  for (const Rank rank : {Rank::kCheck, Rank::kEncrypt, Rank::kDecrypt}) {
    DropLate(rank);
    while (queue_.size(rank) > 0 && MayWork(rank)) {
      Session* session = PickIdle(queue_.First(rank));
      if (session == nullptr) break;
      session->Ask(NextRequest(rank));
    }
  }
  Grow();
}

bool SessionPool::MayWork(Rank rank) const {
  std::array<std::size_t, kRanks> busy{};
  std::size_t soon = 0;  // those whose answers are worth waiting for
  const Deadline lately = Clock::now() - kPatience;
  for (const auto& session : sessions_) {
    if (!session->busy()) continue;
    ++busy[static_cast<std::size_t>(session->rank())];
    if (session->rank() == Rank::kDecrypt && session->since() > lately) ++soon;
  }
  if (rank == Rank::kDecrypt && soon >= batch_size_.Sessions()) return false;
  return kmip::MayWork(rank, busy, Sharing());
}

std::size_t SessionPool::CountReady() const {
  return static_cast<std::size_t>(std::count_if(
      sessions_.begin(), sessions_.end(), [](const auto& session) { return session->ready(); }));
}

void SessionPool::DropLate(Rank rank) {
  const Deadline least = Clock::now() + batch_size_.Least();
  while (queue_.size(rank) > 0 && queue_.First(rank).deadline < least) {
    Expire(queue_.First(rank));
  }
}

std::vector<std::unique_ptr<Call>> SessionPool::NextRequest(Rank rank) {
  std::vector<std::unique_ptr<Call>> request;
  request.push_back(queue_.Take(rank));
  const Call& first = *request.front();
  if (rank != Rank::kDecrypt || first.alone) return request;
  const Clock::time_point now = Clock::now();
  const std::size_t most =
      std::min(known_.MostItems(now),
               batch_size_.Most(queue_.size(rank) + 1, CountReady(), first.deadline - now));
  while (request.size() < most && queue_.size(rank) > 0 && !queue_.First(rank).alone) {
    request.push_back(queue_.Take(rank));
  }
  return request;
}

Session* SessionPool::PickIdle(const Call& call) {
  const bool any = call.not_on == 0 || Sharing() == 1;
  for (auto next = sessions_.rbegin(); next != sessions_.rend(); ++next) {
    Session& session = **next;
    if (session.idle() && session.IsFresh() && (any || session.id() != call.not_on)) {
      return &session;
    }
  }
  return nullptr;
}

bool SessionPool::Wanted(Rank rank) const {
  if (queue_.size(rank) == 0 || !MayWork(rank)) return false;
  return rank != Rank::kDecrypt || CountReady() == 0 ||
         Clock::now() >= queue_.First(rank).since + kPatience;
}

void SessionPool::Grow() {
  if (queue_.empty()) {
    look_again_.reset();
    return;
  }
  std::erase_if(sessions_, [](const auto& one) { return one->idle() && !one->IsFresh(); });
  const Clock::time_point now = Clock::now();
  const std::size_t ready = CountReady();
  const std::size_t limit = growth_.Limit(ready, now);
  const bool wanted = Wanted(Rank::kCheck) || Wanted(Rank::kEncrypt) || Wanted(Rank::kDecrypt);
  // As many at once as there are. The first one has to come alone, unless it is silent.
  std::size_t most = std::max<std::size_t>(1, ready);
  if (ready > 0) {
    // The KMS answers the others: it takes no more.
    if (DropOpenings(now - kInTheWay)) {
      growth_.Failed(now);
      Serve();
      return;
    }
  } else if (!sessions_.empty() &&
             std::all_of(sessions_.begin(), sessions_.end(),
                         [&](const auto& one) { return one->since() <= now - kSilence; })) {
    for (const auto& session : sessions_) session->Suspect();
    if (sessions_.size() == limit) {
      DropOpenings(now - (limit < 3 ? Session::kUntilReady / 2 : kInTheWay));
    }
    most = sessions_.size() + 1;
  }
  const bool too_soon = ready == 0 && now < next_opening_;
  if (wanted && !too_soon && sessions_.size() - ready < most && sessions_.size() < limit) {
    const bool prove = ready > 0 || connector_.HasSeveralAddresses();
    Session::Owner& owner = *this;
    const auto session =
        std::make_shared<Session>(++last_id_, loop_, connector_, known_, owner, prove);
    sessions_.insert(sessions_.begin(), session);
    if (!tidy_) tidy_ = loop_.At(now + kTidyInterval, [this] { Tidy(); });
    session->Open(now + Session::kUntilReady);
    Grow();
    return;
  }
  // Whatever becomes of those that are waited for.
  if (too_soon) {
    LookAgain(next_opening_);
  } else if (ready > 0 && now < growth_.paused_until()) {
    LookAgain(growth_.paused_until());
  } else if (!wanted && queue_.size(Rank::kDecrypt) > 0 && MayWork(Rank::kDecrypt)) {
    LookAgain(queue_.First(Rank::kDecrypt).since + kPatience);
  } else {
    LookAgain(now + (batch_size_.Sessions() <= sessions_.size() ? kPatience : kSilence));
  }
}

void SessionPool::LookAgain(Deadline time) {
  if (look_again_ && look_again_at_ <= time) return;
  look_again_at_ = time;
  look_again_ = loop_.At(time, [this] {
    look_again_.reset();
    Serve();
  });
}

void SessionPool::Ready(Session& session, bool first) {
  if (first) {
    opening_error_ = absl::OkStatus();
    growth_.Succeeded();
    DropOpenings(Clock::now() - kSilence);  // from before the KMS answered
  }
  // The last in the order goes first.
  const auto found = std::find_if(sessions_.begin(), sessions_.end(),
                                  [&](const auto& other) { return other.get() == &session; });
  std::rotate(found, found + 1, sessions_.end());
  Serve();
}

void SessionPool::Broke(Session& session, const absl::Status& why,
                        std::vector<std::unique_ptr<Call>> calls) {
  Debug([&] { return absl::StrCat("KMIP session given up: ", Message(why)); });
  std::erase_if(sessions_, [&](const auto& other) { return other.get() == &session; });
  if (!calls.empty()) counters_.traffic.request.failed.Add();
  if (!session.ready()) {
    OpeningFailed(session, why);
  } else if (!calls.empty() || connector_.HasSeveralAddresses()) {
    // The others may be as dead, without our knowing yet.
    CloseIdle(Clock::now());
  }
  const bool several = calls.size() > 1;
  for (std::unique_ptr<Call>& call : calls) {
    // What was wrong with one of several may be no other's fault.
    if (several) {
      call->alone = true;
    } else {
      ++call->attempts;
      if (!session.answered()) ++call->failed_openings;
    }
    if (!WorthRetrying(why) || call->attempts > 1 || Expired(call->deadline)) {
      const absl::Status status = AsOf(*call, why);
      Finish(std::move(call), {status, false});
    } else {
      counters_.traffic.retries.Add();
      Debug([&] { return absl::StrCat("KMIP: tried again after: ", Message(why)); });
      queue_.Add(std::move(call));
    }
  }
  Serve();
}

void SessionPool::OpeningFailed(const Session& session, const absl::Status& why) {
  if (CountReady() > 0) {
    growth_.Failed(Clock::now());
    return;
  }
  // What the KMS answered first tells most: with another header it may say something else. A reset
  // may overtake the alert that says why.
  const bool tells_more = session.connected() && !opening_error_connected_;
  if (opening_error_.ok() || absl::IsUnauthenticated(why) || tells_more || !session.connected()) {
    opening_error_ = why;
    opening_error_connected_ = session.connected();
  }
  // One that is just being restarted is back in a moment, and all that wait would have failed.
  if (known_.was_negotiated()) next_opening_ = Clock::now() + kPause;
  // A silent one is no reason to give up: each call knows how long it can wait.
  if (!sessions_.empty() || absl::IsDeadlineExceeded(why)) return;
  const int most = WorthRetrying(why) ? known_.MostDials() : 0;
  for (std::unique_ptr<Call>& call : queue_.TakeHopeless(most)) {
    Finish(std::move(call), {opening_error_, false});
  }
  if (queue_.empty()) opening_error_ = absl::OkStatus();
}

bool SessionPool::DropOpenings(Deadline since) {
  return std::erase_if(sessions_, [&](const auto& session) {
           const bool dropped = !session->ready() && session->since() <= since;
           if (dropped) session->Suspect();
           return dropped;
         }) > 0;
}

void SessionPool::CloseIdle(Deadline since) {
  std::erase_if(sessions_, [&](const auto& session) {
    if (!session->idle() || session->since() > since) return false;
    Debug([]() -> std::string { return "KMIP session closed while idle"; });
    return true;
  });
}

void SessionPool::Tidy() {
  CloseIdle(Clock::now() - kIdle);
  tidy_.reset();
  if (!sessions_.empty()) tidy_ = loop_.At(Clock::now() + kTidyInterval, [this] { Tidy(); });
}

}  // namespace okms::kmip
