// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// How a connection comes to a version: what to ask next, after what was answered.

#ifndef OKMS_KMIP_NEGOTIATION_H_
#define OKMS_KMIP_NEGOTIATION_H_

#include <cstddef>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kmip/enums.h"
#include "kmip/message.h"
#include "kmip/ttlv.h"
#include "kmip/version.h"

namespace okms::kmip {

// Not thread-safe.
class Negotiation {
 public:
  // In one of these headers after the other, of which there must be one.
  explicit Negotiation(std::vector<ProtocolVersion> headers) : headers_(std::move(headers)) {
    Begin();
  }

  // The next request: its version, its operation, and its payload.
  ProtocolVersion version() const { return version_; }
  Operation operation() const { return operation_; }
  void Write(ttlv::Writer& writer) const;

  // What was answered to it. True: version() is the one. False: there is more to ask. Errors:
  // kFailedPrecondition when the KMS has no version with Encrypt and Decrypt in common with us;
  // kDataLoss; what the KMS refused first.
  absl::StatusOr<bool> Take(const Response& response);

  // The header that is tried, and the one that was tried first.
  ProtocolVersion header() const { return headers_[at_]; }
  ProtocolVersion first_header() const { return headers_.front(); }

  // What to say of a connection that ended meanwhile: what was refused before tells more.
  absl::Status Ended(const absl::Status& why) const;

 private:
  void Begin();
  absl::Status ChooseVersion(const Response& response);
  absl::Status CheckOperations(const Response& response) const;

  std::vector<ProtocolVersion> headers_;
  std::size_t at_ = 0;
  ProtocolVersion version_;
  Operation operation_{};
  absl::Status first_refusal_;
};

}  // namespace okms::kmip

#endif  // OKMS_KMIP_NEGOTIATION_H_
