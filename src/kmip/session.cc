// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A session is opened by Discover Versions. Its request needs a header, and that a version, which
// is what we do not know yet: 1.1 is tried first, since the operation is as old as that; servers
// that know only some versions then want the header of one of those, and say InvalidMessage,
// OperationNotSupported, or just close. Last comes 1.0, which has no Discover Versions at all:
// there Query stands in for it.
//
// Encrypt and Decrypt came with 1.2. Some older servers have them as an extension; Query tells.

#include "kmip/session.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "kmip/operations.h"

namespace okms::kmip {
namespace {

constexpr ProtocolVersion kHighest{1, 4};
constexpr ProtocolVersion kLowest{1, 0};
constexpr ProtocolVersion kFirstWithCryptography{1, 2};

// The headers to try, the hint first, 1.0 last.
std::vector<ProtocolVersion> Candidates(ProtocolVersion hint) {
  std::vector<ProtocolVersion> versions{hint};
  for (const ProtocolVersion version :
       {ProtocolVersion{1, 1}, kHighest, ProtocolVersion{1, 3}, ProtocolVersion{1, 2}, kLowest}) {
    if (version != hint) versions.push_back(version);
  }
  return versions;
}

DiscoverVersionsRequest OurVersions() {
  DiscoverVersionsRequest request;
  for (ProtocolVersion version = kHighest; version >= kLowest; --version.minor) {
    request.versions.push_back(version);
  }
  return request;
}

// Whether another header may do better. kUnavailable and kDataLoss are the ways in which a server
// that cannot read a version's header hangs up.
bool WorthAnotherHeader(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kInternal: return true;
    default: return false;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Session>> Session::Open(Dialer& dialer, HeaderHint& hint,
                                                       Deadline deadline) {
  std::unique_ptr<Session> session;
  absl::Status first_error;
  for (const ProtocolVersion header : Candidates(hint.Get())) {
    if (session == nullptr || !session->usable()) {
      OKMS_ASSIGN_OR_RETURN(auto stream, dialer.Dial(deadline));
      session.reset(new Session(std::move(stream), header));
    }
    session->version_ = header;
    absl::Status status = header == kLowest ? absl::OkStatus() : session->Negotiate(deadline);
    if (status.ok() && session->version_ < kFirstWithCryptography) {
      const auto missing = session->MissingOperation(deadline);
      if (missing.ok() && *missing) {
        return absl::FailedPreconditionError(
            absl::StrCat("the KMS speaks at most KMIP ", session->version_.ToString(),
                         " and has no ", ToString(**missing), "; KMIP 1.2 or later is needed"));
      }
      status = missing.status();
    }
    if (status.ok()) {
      // A server without Discover Versions may learn it one day: look for it each time.
      if (header != kLowest) hint.Set(header);
      return session;
    }
    // A reset may overtake the alert that says why.
    if (first_error.ok() || absl::IsUnauthenticated(status)) first_error = status;
    if (!WorthAnotherHeader(status.code()) || Expired(deadline)) break;
  }
  return first_error;
}

absl::Status Session::Negotiate(Deadline deadline) {
  // The header of this one reply may be in any version.
  OKMS_ASSIGN_OR_RETURN(const DiscoverVersionsResponse offered,
                        Ask(OurVersions(), std::nullopt, deadline));

  // The highest, not the first: servers do not agree on the order.
  ProtocolVersion best;
  for (const ProtocolVersion version : offered.versions) {
    if (version >= kLowest && version <= kHighest) best = std::max(best, version);
  }
  if (best < kLowest) {
    const std::string theirs = absl::StrJoin(
        offered.versions, ", ",
        [](std::string* out, ProtocolVersion v) { absl::StrAppend(out, v.ToString()); });
    return absl::FailedPreconditionError(absl::StrCat("no KMIP version in common: the KMS offers ",
                                                      theirs.empty() ? "none" : theirs,
                                                      "; we speak 1.0 to 1.4"));
  }
  version_ = best;
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Operation>> Session::MissingOperation(Deadline deadline) {
  OKMS_ASSIGN_OR_RETURN(const QueryResponse response,
                        Call(QueryRequest{{QueryFunction::kOperations}}, deadline));
  const auto& served = response.operations;
  for (const Operation needed : {Operation::kEncrypt, Operation::kDecrypt}) {
    if (std::find(served.begin(), served.end(), needed) == served.end()) return needed;
  }
  return std::nullopt;
}

absl::StatusOr<Response> Session::Exchange(Operation operation, PayloadWriter payload,
                                           Deadline deadline) {
  const WipedBytes request = Request::Encode(version_, operation, payload);
  absl::Status status = stream_->Write(request, deadline);
  if (status.ok()) status = ReadMessage(deadline);
  if (!status.ok()) {
    // Late bytes of this answer would be taken for the next one.
    usable_ = false;
    return Annotate(status, absl::StrCat("KMIP ", ToString(operation)));
  }
  auto response = Response::Decode(reply_);
  if (!response.ok()) {
    return Check(Annotate(response.status(), absl::StrCat("KMIP ", ToString(operation))));
  }
  return response;
}

absl::Status Session::ReadMessage(Deadline deadline) {
  std::array<uint8_t, ttlv::kHeaderSize> header{};
  OKMS_RETURN_IF_ERROR(ReadFully(header, deadline));
  OKMS_ASSIGN_OR_RETURN(const std::size_t size, ttlv::MessageSize(header));
  reply_.resize(size);
  std::copy(header.begin(), header.end(), reply_.begin());
  return ReadFully(std::span(reply_).subspan(header.size()), deadline);
}

absl::Status Session::ReadFully(std::span<uint8_t> buffer, Deadline deadline) {
  while (!buffer.empty()) {
    OKMS_ASSIGN_OR_RETURN(const std::size_t read, stream_->Read(buffer, deadline));
    buffer = buffer.subspan(read);
  }
  return absl::OkStatus();
}

}  // namespace okms::kmip
