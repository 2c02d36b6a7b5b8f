// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A KMS at the other end of a Connection, without a transport: each message that the connection has
// to send is answered, at once, by what the test says.

#ifndef OKMS_TESTS_UNIT_KMIP_WIRE_H_
#define OKMS_TESTS_UNIT_KMIP_WIRE_H_

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "kmip/connection.h"
#include "kmip/message.h"
#include "kmip/operations.h"

namespace okms::kmip::wire {

// What comes back for one message: bytes, then perhaps the end of the connection.
struct Answer {
  std::string bytes = {};
  absl::Status end = absl::OkStatus();
};

inline Answer Closed() { return {.end = absl::UnavailableError("kms: closed by the KMS")}; }
inline Answer Silent() { return {.end = absl::DeadlineExceededError("kms: no answer in time")}; }
inline Answer Bytes(std::string bytes) { return {.bytes = std::move(bytes)}; }
inline Answer Bytes(const WipedBytes& bytes) { return Bytes(std::string(AsText(bytes))); }

// Of a success.
inline Response Header(const Request& request) {
  Response header;
  header.version = request.version;
  header.operation = request.operation;
  header.batch_item_id = request.batch_item_id;
  return header;
}
template <typename Payload>
Answer Success(const Request& request, const Payload& payload) {
  return Bytes(
      Response::Encode(Header(request), 0, [&](ttlv::Writer& writer) { payload.Write(writer); }));
}
inline Response Failure(const Request& request, ResultReason reason, std::string message = "no") {
  Response failure = Header(request);
  failure.status = ResultStatus::kFailed;
  failure.reason = reason;
  failure.message = std::move(message);
  return failure;
}
inline Answer Refusal(const Request& request, ResultReason reason, std::string message = "no") {
  return Bytes(Response::Encode(std::vector{Failure(request, reason, std::move(message))}, 0));
}
// As servers answer what they cannot read: version 1.0, no operation.
inline Answer Unreadable(ResultReason reason = ResultReason::kInvalidMessage) {
  Request unread;
  unread.version = {1, 0};
  Response refusal = Failure(unread, reason, "cannot read this");
  refusal.operation.reset();
  return Bytes(Response::Encode(std::vector{refusal}, 0));
}

using Handler = std::function<Answer(const Request&)>;
using BatchHandler = std::function<Answer(const std::vector<Request>&)>;

// What a message was, for tests to look at afterwards.
struct Seen {
  ProtocolVersion version;
  std::vector<Operation> operations;
  std::string bytes;
};

class Kms {
 public:
  void Handle(Handler handler) {
    handler_ = [handler = std::move(handler)](const std::vector<Request>& requests) {
      return handler(requests.front());
    };
  }
  void HandleBatches(BatchHandler handler) { handler_ = std::move(handler); }

  Answer AnswerTo(ByteView message) {
    const auto requests = Request::Decode(message);
    if (!requests.ok()) return Closed();
    Seen& seen = seen_.emplace_back();
    seen.version = requests->front().version;
    for (const Request& request : *requests) seen.operations.push_back(request.operation);
    seen.bytes = std::string(AsText(message));
    return handler_(*requests);
  }

  const std::vector<Seen>& seen() const { return seen_; }
  void Forget() { seen_.clear(); }
  // The versions in the headers, as text, and the first operations.
  std::vector<std::string> headers() const {
    std::vector<std::string> headers;
    for (const Seen& message : seen_) headers.push_back(message.version.ToString());
    return headers;
  }
  std::vector<Operation> operations() const {
    std::vector<Operation> operations;
    for (const Seen& message : seen_) operations.push_back(message.operations.front());
    return operations;
  }

 private:
  BatchHandler handler_;
  std::vector<Seen> seen_;
};

// A connection, and what carries its bytes: `piece` of them at a time.
class Wire {
 public:
  Wire(Kms& kms, KnownServer& known, std::size_t piece) : kms_(kms), piece_(piece), end_(known) {
    Run();
  }

  Connection& connection() { return end_; }
  // Why it is over; OK while it is not.
  const absl::Status& status() const { return status_; }

  // Until there is nothing more to send, or it is over.
  void Run() {
    while (status_.ok()) {
      const WipedBytes message = end_.TakeOutput();
      if (message.empty()) return;
      const Answer answer = kms_.AnswerTo(message);
      Deliver(AsBytes(answer.bytes));
      if (status_.ok() && !answer.end.ok()) status_ = end_.Closed(answer.end);
    }
  }
  void Deliver(ByteView bytes) {
    while (status_.ok() && !bytes.empty()) {
      const ByteView part = bytes.first(std::min(piece_, bytes.size()));
      status_ = end_.Receive(part);
      bytes = bytes.subspan(part.size());
    }
  }

  // Has these asked for. The reply, or why there is none.
  absl::StatusOr<Reply> Ask(std::span<const RequestItem> items) {
    if (absl::Status status = end_.Ask(items); !status.ok()) return status;
    Run();
    if (!status_.ok()) return status_;
    std::optional<Reply> reply = end_.TakeReply();
    if (!reply) return absl::UnknownError("no reply");
    return *std::move(reply);
  }
  // One; also what its payload is.
  absl::Status Locate() {
    const auto payload = [](ttlv::Writer& writer) { LocateRequest{"etcd", {}, {}}.Write(writer); };
    const RequestItem item{Operation::kLocate, {}, payload};
    const auto reply = Ask({&item, 1});
    if (!reply.ok()) return reply.status();
    version_refused_ = reply->version_refused;
    if (version_refused_) return absl::OkStatus();
    if (reply->items.size() != 1 || !reply->items[0]) return absl::UnknownError("no item");
    return reply->items[0]->Payload(Operation::kLocate).status();
  }
  bool version_refused() const { return version_refused_; }  // the last of those

 private:
  Kms& kms_;
  const std::size_t piece_;
  Connection end_;
  absl::Status status_;
  bool version_refused_ = false;
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

inline Answer Finds(const Request& request) { return Success(request, LocateResponse{{"id"}}); }

}  // namespace okms::kmip::wire

#endif  // OKMS_TESTS_UNIT_KMIP_WIRE_H_
