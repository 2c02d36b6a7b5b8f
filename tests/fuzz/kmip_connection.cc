// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Any bytes as what a KMS sends over one connection. Whatever it is, an answer is given to the
// request whose id it has.
//
// The first byte says whether the version is known, and how many items a request has; the second
// one how many bytes come at once. Then messages follow, in which the batch item id of one byte N
// stands for that of the request's item N: the real ones differ each time.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "fuzz/require.h"
#include "kmip/connection.h"

namespace okms::kmip {
namespace {

bool Equal(ByteView a, ByteView b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

class Fuzz {
 public:
  Fuzz(uint8_t how, uint8_t piece)
      : count_(how % kMaxItems + 1), piece_(std::size_t{piece} + 1), connection_(Known(how)) {}

  // False when the connection is over.
  bool Deliver(ByteView message) {
    if (connection_.idle()) {
      const auto payload = [](ttlv::Writer&) {};
      const std::vector<RequestItem> items(count_, {Operation::kDecrypt, {}, payload});
      OKMS_REQUIRE(connection_.Ask(items).ok());
    }
    if (WipedBytes output = connection_.TakeOutput(); !output.empty()) {
      request_ = std::move(output);
      const auto asked = Request::Decode(request_);
      OKMS_REQUIRE(asked.ok());
      asked_ = *asked;
    }
    const WipedBytes bytes = WithIds(message);
    for (ByteView rest = bytes; !rest.empty();) {
      const ByteView part = rest.first(std::min(rest.size(), piece_));
      const absl::Status status = connection_.Receive(part);
      if (!status.ok()) {
        OKMS_REQUIRE(!connection_.idle() && !connection_.TakeReply());
        for (const char c : status.message()) OKMS_REQUIRE(c >= 0x20 && c <= 0x7e);
        return false;
      }
      rest = rest.subspan(part.size());
    }
    if (const auto reply = connection_.TakeReply()) Check(*reply);
    connection_.Forget();
    return true;
  }

 private:
  KnownServer& Known(uint8_t how) {
    if (how & 0x80) known_.Negotiated({1, 4});
    return known_;
  }

  WipedBytes WithIds(ByteView message) const {
    auto items = Response::Decode(message, kMaxItems + 1);
    if (!items.ok()) return {message.begin(), message.end()};
    for (Response& item : *items) {
      const ByteView id = item.batch_item_id;
      if (id.size() == 1 && id[0] < asked_.size()) item.batch_item_id = asked_[id[0]].batch_item_id;
    }
    return Response::Encode(*items, 0);
  }

  void Check(const Reply& reply) const {
    OKMS_REQUIRE(reply.items.size() == asked_.size() || reply.version_refused);
    for (std::size_t i = 0; i < reply.items.size(); ++i) {
      if (!reply.items[i]) continue;
      OKMS_REQUIRE(!reply.batch_refused && !reply.version_refused);
      const ByteView id = reply.items[i]->batch_item_id;
      OKMS_REQUIRE(Equal(id, asked_[i].batch_item_id) || (id.empty() && asked_.size() == 1));
    }
  }

  const std::size_t count_;
  const std::size_t piece_;
  KnownServer known_;
  Connection connection_;
  WipedBytes request_;
  std::vector<Request> asked_;
};

void Run(ByteView input) {
  if (input.size() < 2) return;
  Fuzz fuzz(input[0], input[1]);
  input = input.subspan(2);
  while (!input.empty()) {
    std::size_t size = input.size();
    if (size >= ttlv::kHeaderSize) {
      const auto whole = ttlv::MessageSize(input.first<ttlv::kHeaderSize>());
      if (whole.ok()) size = std::min(size, *whole);
    }
    if (!fuzz.Deliver(input.first(size))) return;
    input = input.subspan(size);
  }
}

}  // namespace
}  // namespace okms::kmip

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  okms::kmip::Run({data, size});
  return 0;
}
