// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// One operation that is asked of the KMS: it waits for a session, travels, and comes back.

#ifndef OKMS_KMIP_CALL_H_
#define OKMS_KMIP_CALL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/deadline.h"
#include "kmip/message.h"
#include "kmip/operations.h"
#include "kmip/version.h"
#include "net/io_loop.h"

namespace okms::kmip {

// Who goes first. Checks come seldom and tell how the KMS is; a cluster writes by an Encrypt;
// Decrypts come in herds.
enum class Rank { kCheck, kEncrypt, kDecrypt };
inline constexpr std::size_t kRanks = 3;

// What a call came to.
struct Outcome {
  absl::Status status;
  // Whether the KMS itself answered it: with what was asked for, or with a refusal.
  bool answered = false;
};

struct Call {
  // What it asks. Perhaps written more than once, in different versions.
  absl::AnyInvocable<void(ttlv::Writer&, ProtocolVersion) const> write;
  // Takes a success. kDataLoss: the answer makes no sense, so the session is given up and the call
  // tried once more.
  absl::AnyInvocable<absl::Status(const Response&, ProtocolVersion)> read;
  // Once, within the I/O loop's turn.
  absl::AnyInvocable<void(const Outcome&)> finish;

  Operation operation{};
  Rank rank = Rank::kDecrypt;
  Deadline deadline;

  // The pool's.
  Deadline since = {};       // when it came
  int attempts = 0;          // that a connection broke meanwhile
  int failed_openings = 0;   // that cost it a connection in vain
  bool alone = false;        // not with others in one request
  uint64_t not_on = 0;       // the session that it must not travel on; 0: any will do
  IoLoop::Timer timer = {};  // at its deadline
};

// A call of the operation that `request` makes, given the version; `read` gets its response, and
// `finish` what came of it.
template <typename OperationRequest>
std::unique_ptr<Call> MakeCall(
    Rank rank, Deadline deadline,
    absl::AnyInvocable<OperationRequest(ProtocolVersion) const> request,
    absl::AnyInvocable<absl::Status(const typename OperationRequest::Response&, ProtocolVersion)>
        read,
    absl::AnyInvocable<void(const Outcome&)> finish) {
  auto call = std::make_unique<Call>();
  call->write = [request = std::move(request)](ttlv::Writer& writer, ProtocolVersion version) {
    request(version).Write(writer);
  };
  call->read = [read = std::move(read)](const Response& response,
                                        ProtocolVersion version) mutable -> absl::Status {
    const auto payload = response.Payload(OperationRequest::kOperation);
    if (!payload.ok()) return payload.status();
    const auto result = OperationRequest::Response::Read(*payload);
    if (!result.ok()) return result.status();
    return read(*result, version);
  };
  call->finish = std::move(finish);
  call->operation = OperationRequest::kOperation;
  call->rank = rank;
  call->deadline = deadline;
  return call;
}

}  // namespace okms::kmip

#endif  // OKMS_KMIP_CALL_H_
