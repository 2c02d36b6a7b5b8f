// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A KMIP session: one connection, and the calls that are under way on it.

#ifndef OKMS_KMIP_SESSION_H_
#define OKMS_KMIP_SESSION_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/deadline.h"
#include "kmip/call.h"
#include "kmip/connection.h"
#include "kmip/known_server.h"
#include "net/channel.h"
#include "net/io_loop.h"

namespace okms::kmip {

// Of the I/O loop's turn.
class Session final : public Channel::Listener, public std::enable_shared_from_this<Session> {
 public:
  // It may take longer to be ready than the calls that wait for it, but not for ever.
  static constexpr std::chrono::seconds kUntilReady{10};

  class Owner {
   public:
    virtual ~Owner() = default;
    // It may be asked something, for the first time or again; and perhaps is, before this returns.
    virtual void Ready(Session& session, bool first) = 0;
    // It has to come to another version first; it is Ready then, or Broke.
    virtual void Unready(Session& session) = 0;
    // It is of no use any more, and did not answer these. After this the owner forgets it.
    virtual void Broke(Session& session, const absl::Status& why,
                       std::vector<std::unique_ptr<Call>> calls) = 0;
    // It took so long to answer so many calls of one request.
    virtual void Took(std::chrono::nanoseconds time, std::size_t calls) = 0;
    // This one has no answer, and it is not the connection's fault.
    virtual void Again(std::unique_ptr<Call> call) = 0;
    // This is the answer of one.
    virtual void Answer(Session& session, std::unique_ptr<Call> call, const Outcome& outcome) = 0;
  };

  // All of them must outlive it. `prove`: it is ready only once the KMS has answered something,
  // even when what it speaks is known: a server that takes connections beyond its limit and leaves
  // them unanswered costs no call then.
  Session(uint64_t id, IoLoop& loop, Connector& connector, KnownServer& known, Owner& owner,
          bool prove);

  // It has until then to be ready.
  void Open(Deadline deadline);

  // Whether it was connected, and whether it may take calls or has some.
  bool connected() const { return channel_ != nullptr; }
  bool ready() const { return ready_; }
  bool idle() const { return ready_ && calls_.empty(); }
  // Since when it is what it is: opening, idle, or busy.
  Deadline since() const { return since_; }
  // Whether it can still be used for another request.
  bool IsFresh() const { return channel_ != nullptr && channel_->IsFresh(); }
  // Of the calls under way, while there are some.
  Rank rank() const { return rank_; }
  bool busy() const { return !calls_.empty(); }
  // Whether the KMS has ever answered something on it.
  bool answered() const { return answered_; }
  uint64_t id() const { return id_; }

  // While it is idle. As one request.
  void Ask(std::vector<std::unique_ptr<Call>> calls);

  // Gives that call back if it is under way here, for it has no more time. With the last one the
  // connection goes: what would come now is nobody's.
  std::unique_ptr<Call> GiveUp(const Call& call);

  // All that are under way, whose answers nobody will get.
  std::vector<std::unique_ptr<Call>> TakeCalls();

  // It has not answered for a long time: another address may do better.
  void Suspect() const {
    if (channel_ != nullptr) channel_->Silent();
  }
  // What a wait for it comes to.
  absl::Status TooLate() const;

  void Received(ByteView bytes) override;
  void Closed(absl::Status why) override { Break(connection_->Closed(why)); }

 private:
  struct Answer {
    std::unique_ptr<Call> call;
    Outcome outcome;
  };

  void Opened(absl::StatusOr<std::unique_ptr<Channel>> channel);
  void GiveUpAt(Deadline deadline);
  void BeReady();
  void NegotiateAnew();
  void Answered();
  void Flush();
  void Break(const absl::Status& why);
  // What the reply says to each call under way. Those that it makes no sense to stay; `status` then
  // says why.
  std::vector<Answer> Read(const Reply& reply, absl::Status& status);

  const uint64_t id_;
  IoLoop& loop_;
  Connector& connector_;
  KnownServer& known_;
  Owner& owner_;
  const bool prove_;
  IoLoop::Timer give_up_;  // while it is not ready
  std::unique_ptr<Opening> opening_;
  std::unique_ptr<Channel> channel_;
  std::optional<Connection> connection_;      // with the channel
  std::vector<std::unique_ptr<Call>> calls_;  // under way; null: given up
  Rank rank_{};
  Deadline since_ = Clock::now();
  bool ready_ = false;
  bool answered_ = false;
};

}  // namespace okms::kmip

#endif  // OKMS_KMIP_SESSION_H_
