// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// An element of the bucket in which etcd keeps everything (its server/storage/mvcc): the key is
// a revision, the value a message mvccpb.KeyValue.

#ifndef OKMS_AUDIT_ETCD_RECORD_H_
#define OKMS_AUDIT_ETCD_RECORD_H_

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"
#include "audit/bbolt_page.h"

namespace okms::audit {

struct EtcdRevision {
  std::int64_t main = 0;  // of the transaction
  std::int64_t sub = 0;   // within it
  auto operator<=>(const EtcdRevision&) const = default;
};

struct EtcdRecord {
  EtcdRevision revision;
  bool tombstone = false;  // from here on the key is deleted
  absl::string_view key;   // empty: only the revision counts, as after etcdutl's --bump-revision
  absl::string_view value;
  std::int64_t create_revision = 0;
};

// Eight bytes, an underscore, eight bytes; the most significant ones first.
std::optional<EtcdRevision> ParseRevision(ByteView text);

// None, unless it is one from its first byte to the last, and says twice of which revision it is.
std::optional<EtcdRecord> ParseRecord(const LeafElement& element);

}  // namespace okms::audit

#endif  // OKMS_AUDIT_ETCD_RECORD_H_
