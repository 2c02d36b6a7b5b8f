// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Where all that is in bbolt's file begins. There are two, of which each transaction writes one: a
// file is sound as long as one of them is.

#ifndef OKMS_AUDIT_BBOLT_META_H_
#define OKMS_AUDIT_BBOLT_META_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "audit/snapshot_file.h"

namespace okms::audit {

struct BboltMeta {
  std::uint32_t page_size = 0;   // a power of two, 1 KiB to 16 MiB
  std::uint64_t root = 0;        // the page where the bucket of buckets begins
  std::uint64_t freelist = 0;    // the page with a list of those that are free; or kNoFreelist
  std::uint64_t page_count = 0;  // all that are in use are below; the file has as many
  std::uint64_t transaction = 0;
};

constexpr std::uint64_t kNoFreelist = ~std::uint64_t{0};

// The newest that is sound. kFailedPrecondition: no file of bbolt's; kDataLoss.
absl::StatusOr<BboltMeta> ReadMeta(const SnapshotFile& file);

}  // namespace okms::audit

#endif  // OKMS_AUDIT_BBOLT_META_H_
