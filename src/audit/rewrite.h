// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// How all objects of a resource are written anew.

#ifndef OKMS_AUDIT_REWRITE_H_
#define OKMS_AUDIT_REWRITE_H_

#include "audit/plan.h"

namespace okms::audit {

// `resource`: ResourceOf. It comes from etcd, so no command is made of one that is no name of
// Kubernetes'. `key_id_hash` tells the migrations of one key from those of the next, and
// `revision`, which etcd was at, one from its repetition.
Rewrite RewriteOf(const std::string& resource, std::uint64_t objects, absl::string_view key_id_hash,
                  std::int64_t revision, const std::optional<Version>& kubernetes);

}  // namespace okms::audit

#endif  // OKMS_AUDIT_REWRITE_H_
