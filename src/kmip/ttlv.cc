// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "kmip/ttlv.h"

#include <array>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status.h"

namespace okms::ttlv {
namespace {

constexpr std::size_t Padded(std::size_t length) { return (length + 7) & ~std::size_t{7}; }

uint64_t ReadBigEndian(ByteView bytes) {
  uint64_t value = 0;
  for (const uint8_t byte : bytes) value = (value << 8) | byte;
  return value;
}

struct ItemHeader {
  Tag tag;
  Type type;
  std::size_t length;
};

// `bytes` holds at least kHeaderSize.
ItemHeader ReadHeader(ByteView bytes) {
  return {static_cast<Tag>(ReadBigEndian(bytes.first(3))), static_cast<Type>(bytes[3]),
          static_cast<std::size_t>(ReadBigEndian(bytes.subspan(4, 4)))};
}

absl::Status Malformed(Tag tag, absl::string_view why) {
  return absl::DataLossError(absl::StrCat("malformed TTLV: item ", TagText(tag), " ", why));
}

// KMIP 1.4 section 9.1.1.3: what lengths a type may have.
bool LengthFits(Type type, std::size_t length) {
  switch (type) {
    case Type::kInteger:
    case Type::kEnumeration:
    case Type::kInterval: return length == 4;
    case Type::kLongInteger:
    case Type::kBoolean:
    case Type::kDateTime: return length == 8;
    case Type::kStructure:
    case Type::kBigInteger: return length % 8 == 0;
    case Type::kTextString:
    case Type::kByteString: return true;
  }
  return true;  // a type of a later version: its length says how to step over it
}

absl::Status CheckItems(ByteView bytes, int depth) {
  while (!bytes.empty()) {
    if (bytes.size() < kHeaderSize) {
      return absl::DataLossError(
          absl::StrCat("malformed TTLV: ", bytes.size(), " bytes where an item header should be"));
    }
    const ItemHeader header = ReadHeader(bytes);
    const std::size_t room = bytes.size() - kHeaderSize;
    if (header.length > room || Padded(header.length) > room) {
      return Malformed(header.tag, absl::StrCat("has length ", header.length, ", but only ", room,
                                                " bytes are left"));
    }
    if (!LengthFits(header.type, header.length)) {
      return Malformed(header.tag, absl::StrCat("has length ", header.length, ", not one of type ",
                                                static_cast<int>(header.type)));
    }
    const ByteView value = bytes.subspan(kHeaderSize, header.length);
    if (header.type == Type::kBoolean && ReadBigEndian(value) > 1) {
      return Malformed(header.tag, "is a Boolean that is neither true nor false");
    }
    if (header.type == Type::kStructure) {
      if (depth >= kMaxDepth) {
        return Malformed(header.tag, absl::StrCat("nests deeper than ", kMaxDepth, " levels"));
      }
      OKMS_RETURN_IF_ERROR(CheckItems(value, depth + 1));
    }
    bytes = bytes.subspan(kHeaderSize + Padded(header.length));
  }
  return absl::OkStatus();
}

}  // namespace

std::string TagText(Tag tag) { return absl::StrCat("0x", absl::Hex(tag, absl::kZeroPad6)); }

absl::StatusOr<Item> Parse(ByteView bytes) {
  if (bytes.size() > kMaxMessageSize) {
    return absl::DataLossError(
        absl::StrCat("malformed TTLV: ", bytes.size(), " bytes, the limit is ", kMaxMessageSize));
  }
  if (bytes.size() < kHeaderSize) {
    return absl::DataLossError(
        absl::StrCat("malformed TTLV: ", bytes.size(), " bytes, no room for an item header"));
  }
  const std::size_t length = ReadHeader(bytes).length;
  if (Padded(length) < bytes.size() - kHeaderSize) {
    return Malformed(ReadHeader(bytes).tag,
                     absl::StrCat("is followed by ", bytes.size() - kHeaderSize - Padded(length),
                                  " bytes that belong to nothing"));
  }
  OKMS_RETURN_IF_ERROR(CheckItems(bytes, 0));
  return Item::At(bytes);
}

absl::StatusOr<std::size_t> MessageSize(std::span<const uint8_t, kHeaderSize> header) {
  const ItemHeader parsed = ReadHeader(header);
  if (parsed.type != Type::kStructure) return Malformed(parsed.tag, "is not a message structure");
  if (parsed.length > kMaxMessageSize - kHeaderSize) {
    return Malformed(parsed.tag, absl::StrCat("has length ", parsed.length, ", the limit is ",
                                              kMaxMessageSize - kHeaderSize));
  }
  return kHeaderSize + Padded(parsed.length);
}

Item Item::At(ByteView bytes) {
  const ItemHeader header = ReadHeader(bytes);
  Item item;
  item.tag_ = header.tag;
  item.type_ = header.type;
  item.value_ = bytes.subspan(kHeaderSize, header.length);
  return item;
}

Item::Iterator& Item::Iterator::operator++() {
  rest_ = rest_.subspan(kHeaderSize + Padded(ReadHeader(rest_).length));
  return *this;
}

Item::Range Item::children() const {
  return Range(type_ == Type::kStructure ? value_ : ByteView());
}

absl::Status Item::ExpectType(Type type) const {
  if (type_ == type) return absl::OkStatus();
  return Malformed(tag_, absl::StrCat("has type ", static_cast<int>(type_), ", expected ",
                                      static_cast<int>(type)));
}

absl::StatusOr<int32_t> Item::AsInteger() const {
  OKMS_RETURN_IF_ERROR(ExpectType(Type::kInteger));
  return static_cast<int32_t>(ReadBigEndian(value_));
}

absl::StatusOr<uint32_t> Item::AsEnumeration() const {
  OKMS_RETURN_IF_ERROR(ExpectType(Type::kEnumeration));
  return static_cast<uint32_t>(ReadBigEndian(value_));
}

absl::StatusOr<bool> Item::AsBoolean() const {
  OKMS_RETURN_IF_ERROR(ExpectType(Type::kBoolean));
  return ReadBigEndian(value_) == 1;
}

absl::StatusOr<int64_t> Item::AsDateTime() const {
  OKMS_RETURN_IF_ERROR(ExpectType(Type::kDateTime));
  return static_cast<int64_t>(ReadBigEndian(value_));
}

absl::StatusOr<absl::string_view> Item::AsText() const {
  OKMS_RETURN_IF_ERROR(ExpectType(Type::kTextString));
  return okms::AsText(value_);
}

absl::StatusOr<ByteView> Item::AsBytes() const {
  OKMS_RETURN_IF_ERROR(ExpectType(Type::kByteString));
  return value_;
}

absl::StatusOr<std::optional<Item>> Item::Find(Tag tag) const {
  std::optional<Item> found;
  for (const Item child : children()) {
    if (child.tag() != tag) continue;
    if (found) return Malformed(tag, absl::StrCat("occurs more than once in ", TagText(tag_)));
    found = child;
  }
  return found;
}

absl::StatusOr<Item> Item::Get(Tag tag) const {
  OKMS_ASSIGN_OR_RETURN(const std::optional<Item> found, Find(tag));
  if (!found) return Malformed(tag, absl::StrCat("is missing in ", TagText(tag_)));
  return *found;
}

void Writer::BigEndian(uint64_t value, int bytes) {
  std::array<uint8_t, 8> written{};
  for (std::size_t i = written.size(); i-- > 0; value >>= 8) {
    written[i] = static_cast<uint8_t>(value);
  }
  buffer_.insert(buffer_.end(), written.end() - bytes, written.end());
}

std::size_t Writer::Header(Tag tag, Type type, std::size_t length) {
  const std::size_t start = buffer_.size();
  BigEndian(tag, 3);
  buffer_.push_back(static_cast<uint8_t>(type));
  BigEndian(length, 4);
  return start;
}

void Writer::PatchLength(std::size_t start) {
  const std::size_t length = buffer_.size() - start - kHeaderSize;
  for (std::size_t i = 0; i < 4; ++i) {
    buffer_[start + 4 + i] = static_cast<uint8_t>(length >> (8 * (3 - i)));
  }
}

void Writer::Raw(Tag tag, Type type, ByteView value) {
  Header(tag, type, value.size());
  buffer_.insert(buffer_.end(), value.begin(), value.end());
  buffer_.resize(Padded(buffer_.size()));  // every item starts at a multiple of 8
}

void Writer::Integer(Tag tag, int32_t value) {
  Header(tag, Type::kInteger, 4);
  BigEndian(uint64_t{static_cast<uint32_t>(value)} << 32, 8);
}

void Writer::Enumeration(Tag tag, uint32_t value) {
  Header(tag, Type::kEnumeration, 4);
  BigEndian(uint64_t{value} << 32, 8);
}

void Writer::Boolean(Tag tag, bool value) {
  Header(tag, Type::kBoolean, 8);
  BigEndian(value ? 1 : 0, 8);
}

void Writer::DateTime(Tag tag, int64_t seconds_since_1970) {
  Header(tag, Type::kDateTime, 8);
  BigEndian(static_cast<uint64_t>(seconds_since_1970), 8);
}

void Writer::Text(Tag tag, absl::string_view value) {
  Raw(tag, Type::kTextString, okms::AsBytes(value));
}

void Writer::Bytes(Tag tag, ByteView value) { Raw(tag, Type::kByteString, value); }

}  // namespace okms::ttlv
