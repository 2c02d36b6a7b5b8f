// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Any bytes: they are refused, or they can be walked and written again to the same bytes.

#include <cstddef>
#include <cstdint>

#include "fuzz/require.h"
#include "kmip/ttlv.h"

namespace okms::ttlv {
namespace {

// Asks an item everything; what does not fit its type is an error, never a crash.
void Touch(const Item& item) {
  int fitting = 0;
  fitting += item.AsInteger().ok() ? 1 : 0;
  fitting += item.AsEnumeration().ok() ? 1 : 0;
  fitting += item.AsBoolean().ok() ? 1 : 0;
  fitting += item.AsText().ok() ? 1 : 0;
  fitting += item.AsBytes().ok() ? 1 : 0;
  OKMS_REQUIRE(fitting <= 1);
  OKMS_REQUIRE(item.ExpectType(item.type()).ok());
  for (const Item child : item.children()) {
    const auto found = item.Find(child.tag());
    OKMS_REQUIRE(!found.ok() || found->has_value());
    OKMS_REQUIRE(found.ok() == item.Get(child.tag()).ok());
  }
}

void Copy(const Item& item, Writer& writer) {
  Touch(item);
  if (item.type() != Type::kStructure) {
    writer.Raw(item.tag(), item.type(), item.value());
    return;
  }
  writer.Structure(item.tag(), [&] {
    for (const Item child : item.children()) Copy(child, writer);
  });
}

void Check(ByteView input) {
  const auto item = Parse(input);
  if (input.size() >= kHeaderSize) {
    const auto size = MessageSize(input.first<kHeaderSize>());
    if (item.ok() && item->type() == Type::kStructure) {
      OKMS_REQUIRE(size.ok() && *size == input.size());
    }
  }
  if (!item.ok()) {
    OKMS_REQUIRE(item.status().code() == absl::StatusCode::kDataLoss);
    return;
  }
  Writer writer;
  Copy(*item, writer);
  const WipedBytes written = writer.Take();
  OKMS_REQUIRE(written.size() == input.size());
  for (std::size_t i = 0; i < input.size(); ++i) {
    // Padding may hold anything when it is read, and is zero when it is written.
    OKMS_REQUIRE(written[i] == input[i] || written[i] == 0);
  }
  const auto again = Parse(written);
  OKMS_REQUIRE(again.ok());
  Writer second;
  Copy(*again, second);
  OKMS_REQUIRE(second.Take() == written);
}

}  // namespace
}  // namespace okms::ttlv

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  okms::ttlv::Check({data, size});
  return 0;
}
