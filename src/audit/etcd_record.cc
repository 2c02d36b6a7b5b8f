// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/etcd_record.h"

#include <cstddef>

#include <boost/endian/conversion.hpp>

#include "audit/wire.h"
#include "base/secret.h"

namespace okms::audit {
namespace {

constexpr std::size_t kRevision = 17;
constexpr std::uint8_t kTombstone = 't';

// The fields of mvccpb.KeyValue.
enum Number { kKey = 1, kCreateRevision, kModRevision, kVersion, kValue, kLease };

// What etcd does not write is refused: it is how nonsense on a freed page is told from a record.
bool ReadKeyValue(absl::string_view message, EtcdRecord& record, std::int64_t& mod_revision) {
  bool known = true;
  const bool whole = ForEachField(message, [&](const Field& field) {
    const auto number = static_cast<std::int64_t>(field.varint);
    known = known && field.number <= kLease &&
            field.is_bytes == (field.number == kKey || field.number == kValue);
    if (field.number == kKey) record.key = field.bytes;
    if (field.number == kValue) record.value = field.bytes;
    if (field.number == kCreateRevision) record.create_revision = number;
    if (field.number == kModRevision) mod_revision = number;
  });
  return whole && known;
}

}  // namespace

std::optional<EtcdRevision> ParseRevision(ByteView text) {
  if (text.size() != kRevision || text[8] != '_') return std::nullopt;
  const EtcdRevision revision{boost::endian::load_big_s64(text.data()),
                              boost::endian::load_big_s64(text.data() + 9)};
  if (revision.main < 0 || revision.sub < 0) return std::nullopt;
  return revision;
}

std::optional<EtcdRecord> ParseRecord(const LeafElement& element) {
  EtcdRecord record;
  record.tombstone = element.key.size() == kRevision + 1 && element.key.back() == kTombstone;
  const auto revision =
      ParseRevision(element.key.first(element.key.size() - (record.tombstone ? 1 : 0)));
  if (element.is_bucket || !revision) return std::nullopt;
  record.revision = *revision;
  if (element.value.empty()) return record;
  std::int64_t mod_revision = 0;
  if (!ReadKeyValue(AsText(element.value), record, mod_revision) || record.key.empty()) {
    return std::nullopt;
  }
  if (record.tombstone) return record;
  const bool sound = mod_revision == revision->main && record.create_revision > 0 &&
                     record.create_revision <= mod_revision;
  return sound ? std::optional(record) : std::nullopt;
}

}  // namespace okms::audit
