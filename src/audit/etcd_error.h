// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What etcd, or gRPC on the way to it, says, in words that say what to do.

#ifndef OKMS_AUDIT_ETCD_ERROR_H_
#define OKMS_AUDIT_ETCD_ERROR_H_

#include "absl/status/status.h"
#include "audit/etcd_endpoint.h"

namespace okms::audit {

// `status`: an error with gRPC's code and message. One line that names the endpoint. kUnavailable
// and kDeadlineExceeded: another endpoint may answer.
absl::Status ExplainEtcdError(const absl::Status& status, const EtcdEndpoint& endpoint);

}  // namespace okms::audit

#endif  // OKMS_AUDIT_ETCD_ERROR_H_
