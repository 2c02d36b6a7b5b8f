// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What stands in etcd, wherever it is read from: its API (audit/etcd.h) or a snapshot
// (audit/snapshot.h).

#ifndef OKMS_AUDIT_STORE_H_
#define OKMS_AUDIT_STORE_H_

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace okms::audit {

enum class Standing {
  kLive,         // what a read gives
  kOldRevision,  // replaced or deleted, and there until etcd compacts its history
  kFreedPage,    // compacted, and in the file until it is defragmented; a snapshot takes it along
};

// The views are good during the call that passes them.
struct StoredValue {
  absl::string_view key;    // "/registry/secrets/default/name"
  absl::string_view value;  // as it stands there: may be encrypted, may be a Secret in plain text
  std::int64_t create_revision = 0;
  std::int64_t mod_revision = 0;
  Standing standing = Standing::kLive;
};

// What was read, as of when.
struct Extent {
  std::int64_t revision = 0;   // all that is kLive is of this one
  std::int64_t compacted = 0;  // old revisions begin after it; 0: unknown
  std::uint64_t total = 0;     // how many live values there are; 0: unknown
  // Encrypted values outside the prefix, as far as who reads sees them anyway: those of a file, and
  // with history those on its freed pages.
  std::uint64_t elsewhere = 0;
  bool whole = false;  // all that was written up to `revision` is there: a database that is no
                       // snapshot may lack what its WAL holds
  std::string line;    // "etcd at https://10.0.0.1:2379", "snapshot backup.db"
};

struct Scope {
  std::string prefix = "/registry/";
  bool history = false;  // old revisions as well, and freed pages
};

// Called for each value; an error ends the reading, and is what it returns.
using OnValue = absl::FunctionRef<absl::Status(const StoredValue&)>;

class Store {
 public:
  virtual ~Store() = default;

  // What there is, before the values are read. Blocks. Errors: one line that names the file or
  // the endpoint, and what to do.
  virtual absl::StatusOr<Extent> Open(const Scope& scope) = 0;

  // All values of the scope, each once, in pages: memory does not grow with their number, but for
  // some 50 bytes a key in a snapshot. Blocks. Errors: as above; kOutOfRange: etcd compacted the
  // revision away while it was read.
  virtual absl::Status Read(OnValue on_value) = 0;
};

}  // namespace okms::audit

#endif  // OKMS_AUDIT_STORE_H_
