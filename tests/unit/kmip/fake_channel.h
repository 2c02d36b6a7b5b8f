// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Channels to a KMS without a network.

#ifndef OKMS_TESTS_UNIT_KMIP_FAKE_CHANNEL_H_
#define OKMS_TESTS_UNIT_KMIP_FAKE_CHANNEL_H_

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "net/channel.h"
#include "net/io_loop.h"
#include "unit/kmip/fake_kms.h"

namespace okms::kmip::test {

class FakeChannel : public Channel {
 public:
  FakeChannel(IoLoop& loop, FakeKms& kms, int connection)
      : loop_(loop), kms_(kms), connection_(connection) {}
  ~FakeChannel() override { kms_.Disconnect(); }

  void SetListener(Listener* listener) override { listener_ = listener; }
  void Send(ByteView bytes) override {
    Said answer = kms_.Answer(connection_, bytes);
    const bool held = answer.held;
    auto deliver = [this, alive = std::weak_ptr(alive_), &loop = loop_,
                    answer = std::move(answer)] {
      loop.Post([this, alive, answer] {
        if (!alive.expired()) Deliver(alive, answer);
      });
    };
    if (!held || !kms_.Hold(deliver)) deliver();
  }
  bool IsFresh() const override { return true; }
  void Answered() override {}
  void Silent() override {}
  absl::Status TooLate() const override {
    return absl::DeadlineExceededError("kms: read: no answer in time");
  }

 private:
  // In small pieces, as a network may deliver them.
  void Deliver(const std::weak_ptr<bool>& alive, const Said& answer) {
    const ByteView all = AsBytes(answer.bytes);
    for (std::size_t at = 0; !alive.expired() && at < all.size(); at += kPiece) {
      listener_->Received(all.subspan(at, std::min(kPiece, all.size() - at)));
    }
    if (!alive.expired() && !answer.end.ok()) listener_->Closed(answer.end);
  }

  static constexpr std::size_t kPiece = 5;

  IoLoop& loop_;
  FakeKms& kms_;
  const int connection_;
  Listener* listener_ = nullptr;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// `loop` and `kms` must outlive the connector and its channels.
class FakeConnector : public Connector {
 public:
  FakeConnector(IoLoop& loop, FakeKms& kms) : loop_(loop), kms_(kms) {}

  std::unique_ptr<Opening> Open(Deadline, Opened opened) override {
    auto opening = std::make_unique<FakeOpening>();
    bool hangs = false;
    auto connection = kms_.Connect(hangs);
    loop_.Post([this, alive = std::weak_ptr(opening->alive), hangs,
                connection = std::move(connection), opened = std::move(opened)]() mutable {
      if (hangs) return;
      std::unique_ptr<Channel> channel;
      if (connection.ok()) channel = std::make_unique<FakeChannel>(loop_, kms_, *connection);
      if (alive.expired()) return;
      if (connection.ok()) {
        opened(std::move(channel));
      } else {
        opened(connection.status());
      }
    });
    return opening;
  }
  bool HasSeveralAddresses() const override { return several_; }
  void SetSeveralAddresses() { several_ = true; }

 private:
  struct FakeOpening : Opening {
    absl::Status TooLate() const override {
      return absl::DeadlineExceededError("kms: connect: no answer in time");
    }
    const std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  };

  IoLoop& loop_;
  FakeKms& kms_;
  std::atomic<bool> several_ = false;
};

}  // namespace okms::kmip::test

#endif  // OKMS_TESTS_UNIT_KMIP_FAKE_CHANNEL_H_
