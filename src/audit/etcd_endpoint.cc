// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/etcd_endpoint.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status.h"

namespace okms::audit {
namespace {

absl::StatusOr<EtcdEndpoint> ParseOne(absl::string_view text) {
  EtcdEndpoint endpoint;
  absl::string_view server = text;
  endpoint.tls = absl::ConsumePrefix(&server, "https://");
  if (!endpoint.tls && !absl::ConsumePrefix(&server, "http://")) {
    return absl::InvalidArgumentError(
        absl::StrCat("--endpoints ", PrintableAddress(text), ": give https://host:port"));
  }
  absl::ConsumeSuffix(&server, "/");
  absl::StatusOr<HostPort> host_port = ParseHostPort(server);
  if (!host_port.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--endpoints ", PrintableAddress(text), ": ", host_port.status().message()));
  }
  endpoint.server = *std::move(host_port);
  return endpoint;
}

}  // namespace

std::string EtcdEndpoint::ToString() const {
  return absl::StrCat(tls ? "https://" : "http://", server.ToString());
}

absl::StatusOr<std::vector<EtcdEndpoint>> ParseEtcdEndpoints(absl::string_view text) {
  std::vector<EtcdEndpoint> endpoints;
  for (const absl::string_view one : absl::StrSplit(text, ',')) {
    OKMS_ASSIGN_OR_RETURN(EtcdEndpoint endpoint, ParseOne(one));
    endpoints.push_back(std::move(endpoint));
  }
  return endpoints;
}

}  // namespace okms::audit
