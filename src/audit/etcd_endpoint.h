// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// One of the addresses that an etcd is reached at.

#ifndef OKMS_AUDIT_ETCD_ENDPOINT_H_
#define OKMS_AUDIT_ETCD_ENDPOINT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "net/host_port.h"

namespace okms::audit {

struct EtcdEndpoint {
  bool tls = false;
  HostPort server;

  std::string ToString() const;  // "https://10.0.0.1:2379"
};

// Takes them with commas between. Errors: kInvalidArgument.
absl::StatusOr<std::vector<EtcdEndpoint>> ParseEtcdEndpoints(absl::string_view text);

}  // namespace okms::audit

#endif  // OKMS_AUDIT_ETCD_ENDPOINT_H_
