// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/wire.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <cstddef>
#include <limits>

namespace okms::audit {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

bool ReadField(CodedInputStream& stream, absl::string_view message, Field& field) {
  if (!field.is_bytes) return stream.ReadVarint64(&field.varint);
  std::uint32_t size = 0;
  if (!stream.ReadVarint32(&size)) return false;
  const auto start = static_cast<std::size_t>(stream.CurrentPosition());
  if (size > message.size() - start) return false;
  field.bytes = message.substr(start, size);
  return stream.Skip(static_cast<int>(size));
}

}  // namespace

bool ForEachField(absl::string_view message, absl::FunctionRef<void(const Field&)> on_field) {
  if (message.size() > std::numeric_limits<int>::max()) return false;
  CodedInputStream stream(reinterpret_cast<const std::uint8_t*>(message.data()),
                          static_cast<int>(message.size()));
  while (const std::uint32_t tag = stream.ReadTag()) {
    Field field;
    field.number = WireFormatLite::GetTagFieldNumber(tag);
    if (field.number == 0) return false;
    const auto type = WireFormatLite::GetTagWireType(tag);
    field.is_bytes = type == WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
    if (field.is_bytes || type == WireFormatLite::WIRETYPE_VARINT) {
      if (!ReadField(stream, message, field)) return false;
      on_field(field);
    } else if (!WireFormatLite::SkipField(&stream, tag)) {
      return false;
    }
  }
  // A tag of 0 also ends the loop, and so does one that is cut.
  return stream.ConsumedEntireMessage();
}

}  // namespace okms::audit
