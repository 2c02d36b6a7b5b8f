// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// TTLV, the encoding of KMIP (KMIP 1.4 section 9.1): a bounded reader and a writer. They know types
// and lengths, and nothing of what the tags mean.

#ifndef OKMS_KMIP_TTLV_H_
#define OKMS_KMIP_TTLV_H_

#include <cstdint>
#include <iterator>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/secret.h"

namespace okms::ttlv {

using Tag = uint32_t;  // 24 bits

enum class Type : uint8_t {
  kStructure = 0x01,
  kInteger = 0x02,
  kLongInteger = 0x03,
  kBigInteger = 0x04,
  kEnumeration = 0x05,
  kBoolean = 0x06,
  kTextString = 0x07,
  kByteString = 0x08,
  kDateTime = 0x09,
  kInterval = 0x0A,
};

inline constexpr std::size_t kHeaderSize = 8;  // tag 3, type 1, length 4

// Bounds of what is read from a peer. Our messages are 136 to 300 bytes and nest five deep.
inline constexpr std::size_t kMaxMessageSize = 1 << 20;  // bytes, header included
inline constexpr int kMaxDepth = 32;

// One item: a view into bytes that Parse has checked, so walking it cannot run outside them. Valid
// as long as those bytes are. Unknown tags and types are kept as they are.
class Item {
 public:
  class Iterator;
  class Range;

  Tag tag() const { return tag_; }
  Type type() const { return type_; }
  ByteView value() const { return value_; }  // without padding
  Range children() const;                    // nothing unless this is a structure

  // The value as one type. Errors: kDataLoss when the item has another.
  absl::StatusOr<int32_t> AsInteger() const;
  absl::StatusOr<uint32_t> AsEnumeration() const;
  absl::StatusOr<bool> AsBoolean() const;
  absl::StatusOr<int64_t> AsDateTime() const;  // seconds since 1970
  absl::StatusOr<absl::string_view> AsText() const;
  absl::StatusOr<ByteView> AsBytes() const;
  absl::Status ExpectType(Type type) const;

  // The child with this tag, wherever it stands. Errors: kDataLoss when there are several, since
  // then no one knows which counts.
  absl::StatusOr<std::optional<Item>> Find(Tag tag) const;
  // As Find; missing is an error too.
  absl::StatusOr<Item> Get(Tag tag) const;

 private:
  friend absl::StatusOr<Item> Parse(ByteView bytes);
  // `bytes` begins with a whole item that has been checked.
  static Item At(ByteView bytes);

  Tag tag_ = 0;
  Type type_ = Type::kStructure;
  ByteView value_;
};

class Item::Iterator {
 public:
  using value_type = Item;
  using difference_type = std::ptrdiff_t;
  Iterator() = default;
  explicit Iterator(ByteView rest) : rest_(rest) {}
  Item operator*() const { return Item::At(rest_); }
  Iterator& operator++();
  Iterator operator++(int) {
    Iterator old = *this;
    ++*this;
    return old;
  }
  bool operator==(const Iterator& other) const { return rest_.size() == other.rest_.size(); }

 private:
  ByteView rest_;
};

class Item::Range {
 public:
  explicit Range(ByteView items) : items_(items) {}
  Iterator begin() const { return Iterator(items_); }
  Iterator end() const { return Iterator(); }

 private:
  ByteView items_;
};

// Checks that `bytes` are exactly one item, well-formed at every level. Errors: kDataLoss.
absl::StatusOr<Item> Parse(ByteView bytes);

// The size of the whole message that begins with these 8 bytes. Errors: kDataLoss when it is over
// kMaxMessageSize or no structure.
absl::StatusOr<std::size_t> MessageSize(std::span<const uint8_t, kHeaderSize> header);

// "0x4200c2".
std::string TagText(Tag tag);

// Appends items to a buffer that is wiped when it goes. Not thread-safe.
class Writer {
 public:
  Writer() { buffer_.reserve(kUsualSize); }

  // `fill` writes the children.
  template <typename F>
  void Structure(Tag tag, F&& fill) {
    const std::size_t start = Header(tag, Type::kStructure, 0);
    fill();
    PatchLength(start);
  }
  void Integer(Tag tag, int32_t value);
  void Enumeration(Tag tag, uint32_t value);
  void Boolean(Tag tag, bool value);
  void Text(Tag tag, absl::string_view value);
  void Bytes(Tag tag, ByteView value);
  void DateTime(Tag tag, int64_t seconds_since_1970);
  // Any item by its value bytes, which for a structure are its children.
  void Raw(Tag tag, Type type, ByteView value);

  WipedBytes Take() { return std::move(buffer_); }

 private:
  static constexpr std::size_t kUsualSize = 512;  // or else it would be moved, and wiped, ten times

  std::size_t Header(Tag tag, Type type, std::size_t length);
  void PatchLength(std::size_t start);
  void BigEndian(uint64_t value, int bytes);

  WipedBytes buffer_;
};

}  // namespace okms::ttlv

#endif  // OKMS_KMIP_TTLV_H_
