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

void CheckResponse(ByteView input) {
  const auto response = Response::Decode(input);
  if (!response.ok()) {
    OKMS_REQUIRE(response.status().code() == absl::StatusCode::kDataLoss);
    return;
  }
  const auto payload = response->Payload(Operation::kEncrypt);
  OKMS_REQUIRE(payload.ok() || !payload.status().message().empty());
  for (const char c : payload.status().message()) {
    OKMS_REQUIRE(c >= 0x20 && c <= 0x7e);  // fit for the log, whatever the server says
  }
  OKMS_REQUIRE(!payload.ok() || response->status == ResultStatus::kSuccess);
  if (response->payload) ReadAsEverything(*response->payload);
}

void CheckRequest(ByteView input) {
  const auto request = Request::Decode(input);
  if (!request.ok()) {
    OKMS_REQUIRE(request.status().code() == absl::StatusCode::kDataLoss);
    return;
  }
  ReadAsEverything(request->payload);
}

}  // namespace
}  // namespace okms::kmip

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  okms::kmip::CheckResponse({data, size});
  okms::kmip::CheckRequest({data, size});
  return 0;
}
