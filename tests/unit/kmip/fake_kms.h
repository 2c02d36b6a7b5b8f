// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A KMS without a network: each request is answered by what the test says.

#ifndef OKMS_TESTS_UNIT_KMIP_FAKE_KMS_H_
#define OKMS_TESTS_UNIT_KMIP_FAKE_KMS_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kmip/message.h"
#include "kmip/operations.h"

namespace okms::kmip::test {

// What comes back for one request: bytes, then perhaps the end of the connection.
struct Said {
  std::string bytes = {};
  absl::Status end = absl::OkStatus();
  bool held = false;  // until Release
};

// Of a success.
inline Response Header(const Request& request) {
  Response header;
  header.version = request.version;
  header.operation = request.operation;
  header.batch_item_id = request.batch_item_id;
  return header;
}

inline Said Closed() {
  return {.bytes = {}, .end = absl::UnavailableError("kms: read: closed by the KMS")};
}
inline Said Hangs() { return {}; }
inline Said Held(Said answer) {
  answer.held = true;
  return answer;
}
inline Said Bytes(std::string bytes) { return {.bytes = std::move(bytes)}; }
inline Said Bytes(const WipedBytes& bytes) { return {.bytes = std::string(AsText(bytes))}; }

template <typename Payload>
Said Success(const Request& request, const Payload& payload) {
  return Bytes(
      Response::Encode(Header(request), 0, [&](ttlv::Writer& writer) { payload.Write(writer); }));
}
inline Said Refusal(const Request& request, ResultReason reason, std::string message = "no") {
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
inline Said Unreadable(ResultReason reason = ResultReason::kInvalidMessage) {
  return Bytes(Response::Encode({.version = {1, 0},
                                 .operation = {},
                                 .status = ResultStatus::kFailed,
                                 .reason = reason,
                                 .message = "cannot read this",
                                 .payload = {}},
                                0, [](ttlv::Writer&) {}));
}

using Handler = std::function<Said(const Request&)>;
using BatchHandler = std::function<Said(const std::vector<Request>&, const Handler& each)>;

// Answers each item by itself; `change` may do something to the items of the response.
inline BatchHandler Batches(std::function<void(std::vector<Response>&)> change =
                                [](std::vector<Response>&) {}) {
  return [change = std::move(change)](const std::vector<Request>& requests, const Handler& each) {
    std::deque<std::string> texts;  // the responses are views of them
    std::vector<Response> responses;
    Said last;
    for (const Request& request : requests) {
      last = each(request);
      if (last.bytes.empty()) return last;
      texts.push_back(last.bytes);
      responses.push_back(Response::Decode(AsBytes(texts.back()))->front());
    }
    change(responses);
    last.bytes = std::string(AsText(Response::Encode(responses, 0)));
    return last;
  };
}

// What a request was, for tests to look at afterwards.
struct Seen {
  int connection;
  ProtocolVersion version;
  Operation operation;  // of the first item
  std::size_t items;
  std::string bytes;
};

// The KMS that the fake channels lead to. Thread-safe.
class FakeKms {
 public:
  explicit FakeKms(Handler handler) : handler_(std::move(handler)) {}

  // From the next request on.
  void Handle(Handler handler) {
    const std::lock_guard lock(mutex_);
    handler_ = std::move(handler);
  }
  // Of several items.
  void HandleBatches(BatchHandler handler) {
    const std::lock_guard lock(mutex_);
    batch_handler_ = std::move(handler);
  }
  // The next dials fail with these, in order; OK: nothing becomes of it.
  void FailDial(absl::Status status) {
    const std::lock_guard lock(mutex_);
    dial_failures_.push_back(std::move(status));
  }
  void HangDial() { FailDial(absl::OkStatus()); }
  // No more connections than this; the others are refused.
  void LetIn(int most) {
    const std::lock_guard lock(mutex_);
    most_ = most;
  }
  // Connections that there are now are dead, which shows when something is sent.
  void CloseIdle() {
    const std::lock_guard lock(mutex_);
    closed_up_to_ = dials_;
  }
  // What is held is answered, and nothing is held from now on.
  void Release() {
    std::vector<std::function<void()>> held;
    {
      const std::lock_guard lock(mutex_);
      held.swap(held_);
      released_ = true;
    }
    for (const auto& answer : held) answer();
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
  void Forget() {
    const std::lock_guard lock(mutex_);
    seen_.clear();
  }
  // Until so many of these were asked, since the start.
  void AwaitAsked(Operation operation, int times) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return asked_[operation] >= times; });
  }
  void AwaitDials(int times) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return dials_ >= times; });
  }

  // For the channels.
  absl::StatusOr<int> Connect(bool& hangs) {
    const std::lock_guard lock(mutex_);
    ++dials_;
    changed_.notify_all();
    if (open_ >= most_) return absl::UnavailableError("kms: connect: refused");
    if (dial_failures_.empty()) {
      ++open_;
      return dials_;
    }
    absl::Status status = std::move(dial_failures_.front());
    dial_failures_.pop_front();
    hangs = status.ok();
    if (hangs) return dials_;
    return status;
  }
  void Disconnect() {
    const std::lock_guard lock(mutex_);
    --open_;
  }
  Said Answer(int connection, ByteView bytes) {
    const auto requests = Request::Decode(bytes);
    if (!requests.ok()) return Closed();
    Handler handler;
    BatchHandler batch_handler;
    {
      const std::lock_guard lock(mutex_);
      if (connection <= closed_up_to_) return Closed();
      const Request& first = requests->front();
      seen_.push_back({connection, first.version, first.operation, requests->size(),
                       std::string(AsText(bytes))});
      for (const Request& request : *requests) ++asked_[request.operation];
      changed_.notify_all();
      handler = handler_;
      batch_handler = batch_handler_;
    }
    return requests->size() == 1 ? handler(requests->front()) : batch_handler(*requests, handler);
  }
  // Whether it is; else it is to be answered at once.
  bool Hold(std::function<void()> answer) {
    const std::lock_guard lock(mutex_);
    if (!released_) held_.push_back(std::move(answer));
    return !released_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Handler handler_;
  BatchHandler batch_handler_ = Batches();
  std::deque<absl::Status> dial_failures_;
  int dials_ = 0;
  int open_ = 0;
  int most_ = 1000;
  int closed_up_to_ = 0;  // connections are numbered from 1
  bool released_ = false;
  std::vector<std::function<void()>> held_;
  std::map<Operation, int> asked_;
  std::vector<Seen> seen_;
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

#endif  // OKMS_TESTS_UNIT_KMIP_FAKE_KMS_H_
