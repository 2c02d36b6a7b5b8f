// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A session is opened by Discover Versions. Its request needs a header, and that a version, which
// is what we do not know yet: 1.1 is tried first, since the operation is as old as that; servers
// that know only some versions then want the header of one of those, and say InvalidMessage,
// OperationNotSupported, or just close. Last comes 1.0, which has no Discover Versions at all:
// there Query stands in for it. What was found serves all later sessions: they begin with it, and
// negotiate again only when the server does not take it any more.
//
// Encrypt and Decrypt came with 1.2. Some older servers have them as an extension; Query tells.

#include "kmip/session.h"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/debug.h"
#include "base/status.h"
#include "kmip/operations.h"

namespace okms::kmip {
namespace {

constexpr ProtocolVersion kHighest{1, 4};
constexpr ProtocolVersion kLowest{1, 0};
constexpr ProtocolVersion kFirstWithCryptography{1, 2};
constexpr std::size_t kBatchItemIdSize = 8;

// The headers to try, the hint first, 1.0 last.
std::vector<ProtocolVersion> Candidates(ProtocolVersion hint) {
  std::vector<ProtocolVersion> versions{hint};
  for (const ProtocolVersion version :
       {ProtocolVersion{1, 1}, kHighest, ProtocolVersion{1, 3}, ProtocolVersion{1, 2}, kLowest}) {
    if (version != hint) versions.push_back(version);
  }
  return versions;
}

// The header to begin with when the server hung up on this one: all of those with Discover
// Versions, in turn.
ProtocolVersion NextHeader(ProtocolVersion header) {
  return header.minor <= 1 ? kHighest : ProtocolVersion{1, header.minor - 1};
}

DiscoverVersionsRequest OurVersions() {
  DiscoverVersionsRequest request;
  for (ProtocolVersion version = kHighest; version >= kLowest; --version.minor) {
    request.versions.push_back(version);
  }
  return request;
}

// The ways in which a server that cannot read a version's header hangs up.
bool HungUp(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDataLoss(status);
}

// Whether another header may do better.
bool WorthAnotherHeader(const absl::Status& status) {
  if (HungUp(status)) return true;
  switch (status.code()) {
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kInternal: return true;
    default: return false;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Session>> Session::Open(Dialer& dialer, KnownServer& known,
                                                       int& dials, Deadline deadline) {
  const auto dial = [&]() -> absl::StatusOr<std::unique_ptr<Session>> {
    --dials;
    OKMS_ASSIGN_OR_RETURN(auto stream, dialer.Dial(deadline));
    return std::unique_ptr<Session>(new Session(std::move(stream), known));
  };
  if (const std::optional<ProtocolVersion> version = known.version()) {
    OKMS_ASSIGN_OR_RETURN(std::unique_ptr<Session> session, dial());
    session->version_ = *version;
    session->untried_ = true;
    return session;
  }
  const std::vector<ProtocolVersion> candidates = Candidates(known.header());
  std::span<const ProtocolVersion> headers = candidates;
  absl::Status first_error;
  do {
    OKMS_ASSIGN_OR_RETURN(std::unique_ptr<Session> session, dial());
    absl::Status status = session->Negotiate(headers, deadline);
    if (status.ok()) return session;
    // A reset may overtake the alert that says why.
    if (first_error.ok() || absl::IsUnauthenticated(status)) first_error = status;
    if (known.was_negotiated()) {
      // The header is hardly why it hangs up: another one has to wait for the next dial.
      if (HungUp(status)) known.SetHeader(NextHeader(session->version_));
      break;
    }
  } while (!headers.empty() && dials > 0);
  return first_error;
}

absl::Status Session::Negotiate(std::span<const ProtocolVersion>& headers, Deadline deadline) {
  absl::Status first_error;
  while (!headers.empty() && usable_) {
    const ProtocolVersion header = headers.front();
    headers = headers.subspan(1);
    version_ = header;
    absl::Status status = header == kLowest ? absl::OkStatus() : Discover(deadline);
    if (status.ok() && version_ < kFirstWithCryptography) {
      const auto missing = MissingOperation(deadline);
      if (usable_) headers = {};  // there is a version: no other header gives a better one
      if (missing.ok() && *missing) {
        return absl::FailedPreconditionError(
            absl::StrCat("the KMS speaks at most KMIP ", version_.ToString(), " and has no ",
                         ToString(**missing), "; KMIP 1.2 or later is needed"));
      }
      status = missing.status();
    }
    if (status.ok()) {
      // A server without Discover Versions may learn it one day: look for it each time.
      if (header != kLowest) known_.SetHeader(header);
      known_.Negotiated(version_);
      Debug([&] {
        return absl::StrCat("KMIP ", version_.ToString(), " negotiated, with a header of ",
                            header.ToString());
      });
      return status;
    }
    Debug([&] {
      return absl::StrCat("no KMIP version with a header of ", header.ToString(), ": ",
                          Message(status));
    });
    if (!WorthAnotherHeader(status) || Expired(deadline)) headers = {};
    if (first_error.ok() || absl::IsUnauthenticated(status)) first_error = std::move(status);
  }
  return first_error;
}

absl::Status Session::Renegotiate(Deadline deadline) {
  version_refused_ = false;
  const std::vector<ProtocolVersion> candidates = Candidates(known_.header());
  std::span<const ProtocolVersion> headers = candidates;
  absl::Status status = Negotiate(headers, deadline);
  if (!status.ok()) usable_ = false;  // it has no version
  return status;
}

absl::Status Session::Discover(Deadline deadline) {
  const DiscoverVersionsRequest request = OurVersions();
  const auto response = Exchange(
      Operation::kDiscoverVersions, [&](ttlv::Writer& writer) { request.Write(writer); }, deadline);
  const auto offered = ReadAs<DiscoverVersionsRequest>(response);
  if (!offered.ok()) {
    // Who refuses only that operation has read the header, and so speaks its version.
    const bool read =
        response.ok() && (!response->RefusesMessage() || response->version == version_) &&
        (absl::IsPermissionDenied(offered.status()) || absl::IsUnimplemented(offered.status()));
    return read && version_ >= kFirstWithCryptography ? absl::OkStatus() : offered.status();
  }

  // The highest, not the first: servers do not agree on the order.
  ProtocolVersion best;
  for (const ProtocolVersion version : offered->versions) {
    if (version >= kLowest && version <= kHighest) best = std::max(best, version);
  }
  if (best < kLowest) {
    const std::span<const ProtocolVersion> some =
        std::span(offered->versions).first(std::min<std::size_t>(8, offered->versions.size()));
    const std::string theirs =
        absl::StrJoin(some, ", ", [](std::string* out, ProtocolVersion version) {
          absl::StrAppend(out, version.ToString());
        });
    return absl::FailedPreconditionError(absl::StrCat(
        "no KMIP version in common: the KMS offers ", theirs.empty() ? "none" : theirs,
        some.size() < offered->versions.size() ? ", ..." : "", "; we speak 1.0 to 1.4"));
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

absl::StatusOr<Response> Session::Ask(Operation operation, PayloadWriter payload,
                                      Deadline deadline) {
  const bool untried = std::exchange(untried_, false);
  auto response = Exchange(operation, payload, deadline);
  if (!untried) return response;
  if (response.ok()) {
    known_.Answered();
    version_refused_ = response->RefusesMessage() &&
                       response->reason != ResultReason::kPermissionDenied &&
                       response->reason != ResultReason::kAuthenticationNotSuccessful;
    if (version_refused_) {
      Debug([this] { return absl::StrCat("KMIP ", version_.ToString(), " is refused now"); });
      known_.ForgetVersion(version_);
    }
  } else if (HungUp(response.status())) {
    known_.HungUp(version_);
  }
  return response;
}

absl::StatusOr<Response> Session::Exchange(Operation operation, PayloadWriter payload,
                                           Deadline deadline) {
  const Stopwatch watch;
  auto response = DoExchange(operation, payload, deadline);
  Debug([&] {
    const std::string outcome = !response.ok() ? Message(response.status())
                                : response->status == ResultStatus::kSuccess
                                    ? "answered"
                                    : absl::StrCat("refused: ", ToString(response->reason));
    return absl::StrCat("KMIP ", version_.ToString(), " ", ToString(operation), ": ", outcome,
                        " in ", watch.Text());
  });
  return response;
}

absl::StatusOr<Response> Session::DoExchange(Operation operation, PayloadWriter payload,
                                             Deadline deadline) {
  std::array<uint8_t, kBatchItemIdSize> id{};
  if (RAND_bytes(id.data(), id.size()) != 1) {
    return absl::InternalError(absl::StrCat("no random bytes: ", OpenSslErrors()));
  }
  const RequestItem item{operation, id, payload};
  const WipedBytes request = Request::Encode(version_, {&item, 1});
  absl::Status status = stream_->Write(request, deadline);
  if (status.ok()) status = ReadMessage(deadline);
  if (!status.ok()) {
    // Late bytes of this answer would be taken for the next one.
    usable_ = false;
    return Annotate(status, absl::StrCat("KMIP ", ToString(operation)));
  }
  auto responses = Response::Decode(reply_, 1);
  status = responses.ok() ? CheckId(responses->front(), id) : responses.status();
  if (!status.ok()) return Check(Annotate(status, absl::StrCat("KMIP ", ToString(operation))));
  return std::move(responses->front());
}

absl::Status Session::CheckId(const Response& response, ByteView id) {
  const ByteView theirs = response.batch_item_id;
  if (std::equal(theirs.begin(), theirs.end(), id.begin(), id.end())) {
    known_.echoes_ids = true;
    return absl::OkStatus();
  }
  if (!theirs.empty()) return absl::DataLossError("this is the reply to another request");
  // Who cannot read a message finds no id in it.
  if (known_.echoes_ids && !response.RefusesMessage()) {
    return absl::DataLossError(
        "the reply has no batch item id, which this KMS gives back otherwise");
  }
  return absl::OkStatus();
}

absl::Status Session::ReadMessage(Deadline deadline) {
  std::array<uint8_t, ttlv::kHeaderSize> header{};
  OKMS_RETURN_IF_ERROR(ReadFully(header, deadline));
  if (constexpr absl::string_view kHttp = "HTTP/";
      std::equal(kHttp.begin(), kHttp.end(), header.begin())) {
    return absl::DataLossError(
        "the answer is HTTP, not KMIP; KMIP answers at port 5696 of the KMS: check --serv-addr");
  }
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
