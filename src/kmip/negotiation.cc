// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A version is found by Discover Versions. Its request needs a header, and that a version, which is
// what we do not know yet: 1.1 is tried first, since the operation is as old as that; servers that
// know only some versions then want the header of one of those, and say InvalidMessage,
// OperationNotSupported, or just close. Last comes 1.0, which has no Discover Versions at all:
// there Query stands in for it.
//
// Encrypt and Decrypt came with 1.2. Some older servers have them as an extension; Query tells.

#include "kmip/negotiation.h"

#include <algorithm>
#include <span>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/debug.h"
#include "base/status.h"
#include "kmip/operations.h"

namespace okms::kmip {
namespace {

constexpr ProtocolVersion kFirstWithCryptography{1, 2};

DiscoverVersionsRequest OurVersions() {
  DiscoverVersionsRequest request;
  for (ProtocolVersion version = kHighestVersion; version >= kLowestVersion; --version.minor) {
    request.versions.push_back(version);
  }
  return request;
}

// Whether another header may do better.
bool WorthAnotherHeader(const absl::Status& refusal) {
  switch (refusal.code()) {
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kInternal: return true;
    default: return false;
  }
}

template <typename OperationRequest>
absl::StatusOr<typename OperationRequest::Response> ReadAs(const Response& response) {
  OKMS_ASSIGN_OR_RETURN(const ttlv::Item payload, response.Payload(OperationRequest::kOperation));
  return OperationRequest::Response::Read(payload);
}

}  // namespace

void Negotiation::Begin() {
  version_ = header();
  operation_ = version_ == kLowestVersion ? Operation::kQuery : Operation::kDiscoverVersions;
}

void Negotiation::Write(ttlv::Writer& writer) const {
  if (operation_ == Operation::kQuery) {
    QueryRequest{{QueryFunction::kOperations}}.Write(writer);
  } else {
    OurVersions().Write(writer);
  }
}

absl::StatusOr<bool> Negotiation::Take(const Response& response) {
  const bool discovering = operation_ == Operation::kDiscoverVersions;
  absl::Status status = discovering ? ChooseVersion(response) : CheckOperations(response);
  if (status.ok()) {
    if (!discovering || version_ >= kFirstWithCryptography) return true;
    operation_ = Operation::kQuery;
    return false;
  }
  // Who tells its operations has a version: no other header gives a better one.
  const bool told = !discovering && response.status == ResultStatus::kSuccess;
  if (told || absl::IsDataLoss(status)) return status;
  Debug([&] {
    return absl::StrCat("no KMIP version with a header of ", header().ToString(), ": ",
                        Message(status));
  });
  const bool chosen = !discovering && header() != kLowestVersion;
  const bool last = chosen || !WorthAnotherHeader(status) || at_ + 1 == headers_.size();
  if (first_refusal_.ok() || absl::IsUnauthenticated(status)) first_refusal_ = std::move(status);
  if (last) return first_refusal_;
  ++at_;
  Begin();
  return false;
}

absl::Status Negotiation::ChooseVersion(const Response& response) {
  const auto offered = ReadAs<DiscoverVersionsRequest>(response);
  if (!offered.ok()) {
    // Who refuses only that operation has read the header, and so speaks its version.
    const bool read =
        (!response.RefusesMessage() || response.version == version_) &&
        (absl::IsPermissionDenied(offered.status()) || absl::IsUnimplemented(offered.status()));
    return read && version_ >= kFirstWithCryptography ? absl::OkStatus() : offered.status();
  }

  // The highest, not the first: servers do not agree on the order.
  ProtocolVersion best;
  for (const ProtocolVersion version : offered->versions) {
    if (version >= kLowestVersion && version <= kHighestVersion) best = std::max(best, version);
  }
  if (best < kLowestVersion) {
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

absl::Status Negotiation::CheckOperations(const Response& response) const {
  OKMS_ASSIGN_OR_RETURN(const QueryResponse answer, ReadAs<QueryRequest>(response));
  const auto& served = answer.operations;
  for (const Operation needed : {Operation::kEncrypt, Operation::kDecrypt}) {
    if (std::find(served.begin(), served.end(), needed) == served.end()) {
      return absl::FailedPreconditionError(
          absl::StrCat("the KMS speaks at most KMIP ", version_.ToString(), " and has no ",
                       ToString(needed), "; KMIP 1.2 or later is needed"));
    }
  }
  return absl::OkStatus();
}

absl::Status Negotiation::Ended(const absl::Status& why) const {
  Debug([&] {
    return absl::StrCat("no KMIP version with a header of ", header().ToString(), ": ",
                        Message(why));
  });
  if (first_refusal_.ok() || absl::IsUnauthenticated(why)) return why;
  return WithCode(first_refusal_, why.code());
}

}  // namespace okms::kmip
