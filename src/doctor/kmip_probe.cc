// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "doctor/kmip_probe.h"

#include <array>
#include <ctime>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/await.h"
#include "base/secret.h"
#include "base/status.h"
#include "kmip/operations.h"

namespace okms::doctor {

KmipProbe::KmipProbe(std::unique_ptr<TlsSocket> socket, std::unique_ptr<kmip::KnownServer> known)
    : known_(std::move(known)), connection_(*known_, /*prove=*/true), socket_(std::move(socket)) {}

absl::StatusOr<std::unique_ptr<KmipProbe>> KmipProbe::Begin(const Dial& dial, Deadline deadline) {
  auto known = std::make_unique<kmip::KnownServer>();
  for (int dials = 1;; ++dials) {
    OKMS_ASSIGN_OR_RETURN(std::unique_ptr<TlsSocket> socket, dial());
    // What one connection learnt, the next one knows: a server may hang up on a header.
    auto probe = std::unique_ptr<KmipProbe>(
        new KmipProbe(std::move(socket), std::make_unique<kmip::KnownServer>(*known)));
    const absl::Status status = probe->Talk([&] { return probe->connection_.idle(); }, deadline);
    if (status.ok()) return probe;
    *known = *probe->known_;
    if (dials == known->MostDials() || Expired(deadline) || absl::IsUnauthenticated(status) ||
        absl::IsFailedPrecondition(status)) {
      return status;
    }
  }
}

absl::Status KmipProbe::Talk(const std::function<bool()>& done, Deadline deadline) {
  std::array<uint8_t, 4096> buffer{};
  while (!done()) {
    if (const WipedBytes output = connection_.TakeOutput(); !output.empty()) {
      socket_->Write(output);
    }
    const absl::StatusOr<std::size_t> size = socket_->Read(buffer);
    if (!size.ok()) return connection_.Closed(size.status());
    if (*size > 0) {
      OKMS_RETURN_IF_ERROR(connection_.Receive(ByteView(buffer).first(*size)));
    } else if (!socket_->more()) {
      if (absl::Status status = Await(socket_->fd(), socket_->events(), deadline); !status.ok()) {
        return connection_.Closed(socket_->BrokenOff(status));
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<kmip::Reply> KmipProbe::Ask(std::size_t items, Deadline deadline) {
  const kmip::QueryRequest query{{kmip::QueryFunction::kOperations}};
  const auto payload = [&](ttlv::Writer& writer) { query.Write(writer); };
  const kmip::RequestItem item{kmip::Operation::kQuery, {}, payload};
  const std::vector<kmip::RequestItem> request(items, item);
  OKMS_RETURN_IF_ERROR(connection_.Ask(request));
  std::optional<kmip::Reply> reply;
  OKMS_RETURN_IF_ERROR(
      Talk([&] { return reply || (reply = connection_.TakeReply()).has_value(); }, deadline));
  return *std::move(reply);
}

absl::StatusOr<std::chrono::seconds> KmipProbe::Ahead(Deadline deadline) {
  OKMS_ASSIGN_OR_RETURN(const kmip::Reply reply, Ask(1, deadline));
  if (reply.items.size() != 1 || !reply.items[0] || !reply.items[0]->time_stamp) {
    return absl::NotFoundError("the KMS's answer has no time stamp");
  }
  return std::chrono::seconds(*reply.items[0]->time_stamp - std::time(nullptr));
}

absl::StatusOr<bool> KmipProbe::Batches(Deadline deadline) {
  OKMS_ASSIGN_OR_RETURN(const kmip::Reply reply, Ask(2, deadline));
  return !reply.batch_refused && reply.items.size() == 2 && reply.items[0] && reply.items[1];
}

}  // namespace okms::doctor
