// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A KMS without a network: each request is answered, at once, by what the test says.

#ifndef OKMS_TESTS_UNIT_KMIP_FAKE_STREAM_H_
#define OKMS_TESTS_UNIT_KMIP_FAKE_STREAM_H_

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "kmip/message.h"
#include "kmip/operations.h"
#include "net/stream.h"

namespace okms::kmip::test {

// What comes back for one request: bytes, then perhaps the end of the stream.
struct Reply {
  std::string bytes = {};
  absl::Status end = absl::OkStatus();
  bool hangs = false;  // no end comes, until the dialer is cancelled
};

// Of a success.
inline Response Header(const Request& request) {
  Response header;
  header.version = request.version;
  header.operation = request.operation;
  header.batch_item_id = request.batch_item_id;
  return header;
}

inline Reply Closed() {
  return {.bytes = {}, .end = absl::UnavailableError("kms: read: closed by the KMS")};
}
inline Reply Silent() {
  return {.bytes = {}, .end = absl::DeadlineExceededError("kms: read: no answer in time")};
}
inline Reply Hangs() { return {.bytes = {}, .hangs = true}; }
inline Reply Bytes(std::string bytes) { return {.bytes = std::move(bytes)}; }
inline Reply Bytes(const WipedBytes& bytes) { return {.bytes = std::string(AsText(bytes))}; }

template <typename Payload>
Reply Success(const Request& request, const Payload& payload) {
  return Bytes(
      Response::Encode(Header(request), 0, [&](ttlv::Writer& writer) { payload.Write(writer); }));
}
inline Reply Refusal(const Request& request, ResultReason reason, std::string message = "no") {
  return Bytes(Response::Encode({.version = request.version,
                                 .operation = request.operation,
                                 .batch_item_id = request.batch_item_id,
                                 .status = ResultStatus::kFailed,
                                 .reason = reason,
                                 .message = std::move(message),
                                 .payload = {}},
                                0, [](ttlv::Writer&) {}));
}
// As servers answer what they cannot read: version 1.0, no operation.
inline Reply Unreadable(ResultReason reason = ResultReason::kInvalidMessage) {
  return Bytes(Response::Encode({.version = {1, 0},
                                 .operation = {},
                                 .status = ResultStatus::kFailed,
                                 .reason = reason,
                                 .message = "cannot read this",
                                 .payload = {}},
                                0, [](ttlv::Writer&) {}));
}

using Handler = std::function<Reply(const Request&)>;

// What a request was, for tests to look at afterwards.
struct Seen {
  int connection;
  ProtocolVersion version;
  Operation operation;
  std::string bytes;
};

// The KMS that the fake streams lead to. Thread-safe.
class FakeKms {
 public:
  explicit FakeKms(Handler handler) : handler_(std::move(handler)) {}

  // From the next request on.
  void Handle(Handler handler) {
    const std::lock_guard lock(mutex_);
    handler_ = std::move(handler);
  }
  // The next dials fail with these, in order.
  void FailDial(absl::Status status) {
    const std::lock_guard lock(mutex_);
    dial_failures_.push_back(std::move(status));
  }
  // Idle streams are found closed from now on.
  void CloseIdle() {
    const std::lock_guard lock(mutex_);
    closed_up_to_ = dials_;
  }

  int dials() const {
    const std::lock_guard lock(mutex_);
    return dials_;
  }
  std::vector<Seen> seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  std::vector<Operation> operations() const {
    std::vector<Operation> operations;
    for (const Seen& request : seen()) operations.push_back(request.operation);
    return operations;
  }
  // The versions in the headers, as text.
  std::vector<std::string> headers() const {
    std::vector<std::string> headers;
    for (const Seen& request : seen()) headers.push_back(request.version.ToString());
    return headers;
  }
  // What hangs, or will, ends.
  void Cancel() {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    changed_.notify_all();
  }
  absl::Status AwaitCancel() {
    std::unique_lock lock(mutex_);
    ++hanging_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return cancelled_; });
    return absl::CancelledError("the plugin is stopping");
  }
  void AwaitHanging(int streams) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return hanging_ >= streams; });
  }
  void Forget() {
    const std::lock_guard lock(mutex_);
    seen_.clear();
  }

  absl::StatusOr<int> Connect() {
    const std::lock_guard lock(mutex_);
    ++dials_;
    if (dial_failures_.empty()) return dials_;
    absl::Status status = std::move(dial_failures_.front());
    dial_failures_.pop_front();
    return status;
  }
  bool IsOpen(int connection) const {
    const std::lock_guard lock(mutex_);
    return connection > closed_up_to_;
  }
  Reply Answer(int connection, ByteView bytes) {
    const auto requests = Request::Decode(bytes, 1);
    if (!requests.ok()) return Closed();
    const Request& request = requests->front();
    Handler handler;
    {
      const std::lock_guard lock(mutex_);
      seen_.push_back({connection, request.version, request.operation, std::string(AsText(bytes))});
      handler = handler_;
    }
    return handler(request);
  }

 private:
  mutable std::mutex mutex_;
  Handler handler_;
  std::deque<absl::Status> dial_failures_;
  int dials_ = 0;
  int closed_up_to_ = 0;  // connections are numbered from 1
  std::condition_variable changed_;
  bool cancelled_ = false;
  int hanging_ = 0;
  std::vector<Seen> seen_;
};

class FakeStream : public Stream {
 public:
  FakeStream(FakeKms& kms, int connection) : kms_(kms), connection_(connection) {}

  absl::Status Write(ByteView data, Deadline) override {
    if (!end_.ok()) return end_;
    Reply reply = kms_.Answer(connection_, data);
    unread_ += reply.bytes;
    hangs_ = reply.hangs;
    end_ = std::move(reply.end);
    return absl::OkStatus();
  }
  // In small pieces, as a network may deliver them.
  absl::StatusOr<std::size_t> Read(std::span<uint8_t> buffer, Deadline) override {
    if (unread_.empty() && hangs_) return end_ = kms_.AwaitCancel();
    if (unread_.empty()) {
      return end_.ok() ? absl::DeadlineExceededError("kms: read: no answer in time") : end_;
    }
    const std::size_t size = std::min({buffer.size(), unread_.size(), std::size_t{5}});
    std::copy_n(unread_.begin(), size, buffer.begin());
    unread_.erase(0, size);
    return size;
  }
  bool IsQuiet() override { return end_.ok() && unread_.empty() && kms_.IsOpen(connection_); }

 private:
  FakeKms& kms_;
  const int connection_;
  std::string unread_;
  bool hangs_ = false;
  absl::Status end_;
};

// `kms` must outlive the dialer and its streams.
class FakeDialer : public Dialer {
 public:
  explicit FakeDialer(FakeKms& kms) : kms_(kms) {}
  absl::StatusOr<std::unique_ptr<Stream>> Dial(Deadline) override {
    auto connection = kms_.Connect();
    if (!connection.ok()) return connection.status();
    return std::make_unique<FakeStream>(kms_, *connection);
  }
  void Cancel() override { kms_.Cancel(); }

 private:
  FakeKms& kms_;
};

// Answers Discover Versions with `versions`, and all else by `next`.
inline Handler Speaks(std::vector<ProtocolVersion> versions, Handler next) {
  return [versions = std::move(versions), next = std::move(next)](const Request& request) {
    if (request.operation == Operation::kDiscoverVersions) {
      return Success(request, DiscoverVersionsResponse{versions});
    }
    return next(request);
  };
}

}  // namespace okms::kmip::test

#endif  // OKMS_TESTS_UNIT_KMIP_FAKE_STREAM_H_
