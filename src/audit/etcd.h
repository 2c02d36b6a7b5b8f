// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// etcd's API as a Store. Only reads, and a user that may read the prefix is enough.

#ifndef OKMS_AUDIT_ETCD_H_
#define OKMS_AUDIT_ETCD_H_

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "audit/store.h"

namespace okms::audit {

struct EtcdOptions {
  std::string endpoints;  // "https://10.0.0.1:2379,https://10.0.0.2:2379": of one cluster
  // Files of PEM; empty: not given.
  std::string ca;    // who may have signed the servers' certificates; else the system's roots
  std::string cert;  // ours; etcd takes its CN for the user, where it has users
  std::string key;
  int most_bytes = 32 << 20;                   // of one answer; twice the largest value must fit
  std::chrono::milliseconds patience{10'000};  // with one call
};

// Does not connect yet. Where an endpoint is away or silent, the next one goes on, at the same
// revision. Errors: kInvalidArgument, what is wrong with the options; kFailedPrecondition and
// kPermissionDenied, with a file.
absl::StatusOr<std::unique_ptr<Store>> OpenEtcd(const EtcdOptions& options);

}  // namespace okms::audit

#endif  // OKMS_AUDIT_ETCD_H_
