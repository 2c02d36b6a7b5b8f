// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/bbolt_meta.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <optional>

#include <boost/endian/conversion.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "audit/bbolt_page.h"
#include "base/secret.h"
#include "base/status.h"

namespace okms::audit {
namespace {

using boost::endian::load_little_u32;
using boost::endian::load_little_u64;

constexpr std::uint32_t kMagic = 0xED0CDAED;
constexpr std::uint32_t kVersion = 2;
constexpr std::size_t kChecksum = 56;  // where it is, and what it is of
constexpr std::uint32_t kSmallestPage = 1U << 10U;
constexpr std::uint32_t kLargestPage = 1U << 24U;

using MetaBytes = std::array<std::uint8_t, kPageHead + kChecksum + 8>;

// FNV-1a, of 64 bits.
std::uint64_t Checksum(ByteView bytes) {
  std::uint64_t hash = 14695981039346656037U;
  for (const std::uint8_t byte : bytes) hash = (hash ^ byte) * 1099511628211U;
  return hash;
}

// What was found, should there be no sound one.
struct Found {
  std::optional<BboltMeta> newest;
  bool magic = false;
  std::uint32_t version = kVersion;
};

std::optional<BboltMeta> Parse(ByteView meta, Found& found) {
  if (load_little_u32(meta.data()) != kMagic) return std::nullopt;
  found.magic = true;
  if (load_little_u64(meta.data() + kChecksum) != Checksum(meta.first(kChecksum))) {
    return std::nullopt;
  }
  const std::uint32_t version = load_little_u32(meta.data() + 4);
  if (version != kVersion) {
    found.version = version;
    return std::nullopt;
  }
  const BboltMeta parsed{load_little_u32(meta.data() + 8), load_little_u64(meta.data() + 16),
                         load_little_u64(meta.data() + 32), load_little_u64(meta.data() + 40),
                         load_little_u64(meta.data() + 48)};
  const bool sound = std::has_single_bit(parsed.page_size) && parsed.page_size >= kSmallestPage &&
                     parsed.page_size <= kLargestPage;
  return sound ? std::optional(parsed) : std::nullopt;
}

absl::Status Look(const SnapshotFile& file, std::uint64_t offset, Found& found) {
  MetaBytes bytes{};
  if (offset + bytes.size() > file.size()) return absl::OkStatus();
  OKMS_RETURN_IF_ERROR(file.Read(offset, bytes));
  const std::optional<BboltMeta> meta = Parse(ByteView(bytes).subspan(kPageHead), found);
  if (!meta || (offset != 0 && offset != meta->page_size)) return absl::OkStatus();
  if (!found.newest || meta->transaction > found.newest->transaction) found.newest = meta;
  return absl::OkStatus();
}

absl::Status NoBbolt(const SnapshotFile& file) {
  std::array<std::uint8_t, 4> bytes{};
  const std::size_t size = std::min<std::uint64_t>(bytes.size(), file.size());
  OKMS_RETURN_IF_ERROR(file.Read(0, std::span(bytes).first(size)));
  const absl::string_view beginning = AsText(ByteView(bytes).first(size));
  for (const absl::string_view packed :
       {"\x1f\x8b", "\x28\xb5\x2f\xfd", "\xfd\x37zX", "BZh", "PK\x03\x04"}) {
    if (absl::StartsWith(beginning, packed)) return file.Unfit("is compressed: unpack it first");
  }
  return file.Unfit(
      "is no database of etcd's, or encrypted: name a file that etcdctl snapshot save has written "
      "(decrypted), or member/snap/db of an etcd that was stopped; those in .snap and .wal hold "
      "none");
}

absl::Status Check(const SnapshotFile& file, const BboltMeta& meta) {
  const std::uint64_t there = file.size() / meta.page_size;
  if (meta.page_count > there) {
    return file.Damaged(absl::StrCat("it ends after ", there, " of ", meta.page_count, " pages"));
  }
  if (meta.root < 2 || meta.root >= meta.page_count) {
    return file.Damaged(absl::StrCat("its root is page ", meta.root, " of ", meta.page_count));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<BboltMeta> ReadMeta(const SnapshotFile& file) {
  Found found;
  OKMS_RETURN_IF_ERROR(Look(file, 0, found));
  if (found.newest) {
    OKMS_RETURN_IF_ERROR(Look(file, found.newest->page_size, found));
  }
  // Only the first tells where the second is. It is looked for from the beginning: what comes after
  // it may be a value, and somebody's idea of a meta.
  for (std::uint64_t size = kSmallestPage; size <= kLargestPage && !found.newest; size *= 2) {
    OKMS_RETURN_IF_ERROR(Look(file, size, found));
  }
  if (found.newest) {
    OKMS_RETURN_IF_ERROR(Check(file, *found.newest));
    return *found.newest;
  }
  if (!found.magic) return NoBbolt(file);
  if (found.version != kVersion) {
    return file.Unfit(absl::StrCat("is of bbolt's format ", found.version, ", and ", kVersion,
                                   " is what can be read: ask etcd by its API"));
  }
  return file.Damaged("neither of its two meta pages is sound");
}

}  // namespace okms::audit
