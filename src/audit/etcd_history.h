// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The values that were replaced or deleted, and are there until etcd compacts its history.

#ifndef OKMS_AUDIT_ETCD_HISTORY_H_
#define OKMS_AUDIT_ETCD_HISTORY_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "audit/etcd_client.h"
#include "audit/store.h"

namespace okms::audit {

// The revision up to which the history is compacted; 0: it never was.
absl::StatusOr<std::int64_t> CompactedRevision(EtcdClient& client, absl::string_view prefix);

struct History {
  std::string prefix;
  std::int64_t compacted = 0;  // CompactedRevision
  std::int64_t until = 0;      // what was replaced after it, is live as of it
  // The newest one of a live value. Releases of etcd before 3.5.8 say that they have sent all when
  // they have not; but whoever has not sent this one, has not.
  std::int64_t newest = 0;
};

// Calls `on_value` for each, kOldRevision. Goes on at the next endpoint where one breaks off.
// Errors: as Store::Read.
absl::Status ReadHistory(EtcdClient& client, const History& history, OnValue on_value);

}  // namespace okms::audit

#endif  // OKMS_AUDIT_ETCD_HISTORY_H_
