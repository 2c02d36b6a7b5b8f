// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What stands on pages that no bucket uses any more. bbolt never wipes one: it is there until the
// page is given to another, or the database is defragmented.

#ifndef OKMS_AUDIT_FREED_PAGES_H_
#define OKMS_AUDIT_FREED_PAGES_H_

#include "absl/status/status.h"
#include "audit/bbolt_file.h"

namespace okms::audit {

// Each element of a leaf that is not in `used`, and of which every byte is there. May be of any
// bucket, may be there several times (a page is written anew for each change), may be nonsense.
absl::Status ForEachFreed(const BboltFile& bbolt, const PageSet& used, OnElement on_element);

}  // namespace okms::audit

#endif  // OKMS_AUDIT_FREED_PAGES_H_
