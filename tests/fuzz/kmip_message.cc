// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Any bytes as a message of a KMS, and as a request to the mock KMS: read by every type that we
// have. What was read can be written and read again.

#include <cstddef>
#include <cstdint>

#include "fuzz/require.h"
#include "kmip/message.h"
#include "kmip/operations.h"

namespace okms::kmip {
namespace {

template <typename Payload>
void ReadAs(const ttlv::Item& payload) {
  const auto read = Payload::Read(payload);
  if (!read.ok()) {
    OKMS_REQUIRE(read.status().code() == absl::StatusCode::kDataLoss);
    return;
  }
  const auto write = [](const Payload& from) {
    ttlv::Writer writer;
    writer.Structure(tag::kResponsePayload, [&] { from.Write(writer); });
    return writer.Take();
  };
  const WipedBytes once = write(*read);
  const auto item = ttlv::Parse(once);
  OKMS_REQUIRE(item.ok());
  const auto again = Payload::Read(*item);
  OKMS_REQUIRE(again.ok());
  OKMS_REQUIRE(write(*again) == once);
}

void ReadAsEverything(const ttlv::Item& payload) {
  ReadAs<DiscoverVersionsRequest>(payload);
  ReadAs<DiscoverVersionsResponse>(payload);
  ReadAs<QueryRequest>(payload);
  ReadAs<QueryResponse>(payload);
  ReadAs<LocateRequest>(payload);
  ReadAs<LocateResponse>(payload);
  ReadAs<GetAttributesRequest>(payload);
  ReadAs<GetAttributesResponse>(payload);
  ReadAs<EncryptRequest>(payload);
  ReadAs<EncryptResponse>(payload);
  ReadAs<DecryptRequest>(payload);
  ReadAs<DecryptResponse>(payload);
}

void CheckResponse(const Response& response) {
  const auto payload = response.Payload(Operation::kEncrypt);
  OKMS_REQUIRE(payload.ok() || !payload.status().message().empty());
  for (const char c : payload.status().message()) {
    OKMS_REQUIRE(c >= 0x20 && c <= 0x7e);  // fit for the log, whatever the server says
  }
  OKMS_REQUIRE(!payload.ok() || response.status == ResultStatus::kSuccess);
  if (response.payload) ReadAsEverything(*response.payload);
}

void CheckResponses(ByteView input) {
  const auto responses = Response::Decode(input);
  if (!responses.ok()) {
    OKMS_REQUIRE(responses.status().code() == absl::StatusCode::kDataLoss);
    return;
  }
  OKMS_REQUIRE(!responses->empty() && responses->size() <= kMaxItems);
  for (const Response& response : *responses) CheckResponse(response);
  const WipedBytes once = Response::Encode(*responses, 0);
  const auto again = Response::Decode(once, responses->size());
  OKMS_REQUIRE(again.ok() && Response::Encode(*again, 0) == once);
}

void CheckRequests(ByteView input) {
  const auto requests = Request::Decode(input);
  if (!requests.ok()) {
    OKMS_REQUIRE(requests.status().code() == absl::StatusCode::kDataLoss);
    return;
  }
  OKMS_REQUIRE(!requests->empty() && requests->size() <= kMaxItems);
  for (const Request& request : *requests) ReadAsEverything(request.payload);
}

}  // namespace
}  // namespace okms::kmip

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  okms::kmip::CheckResponses({data, size});
  okms::kmip::CheckRequests({data, size});
  return 0;
}
