// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Calls of etcd's API, at whichever endpoint answers.

#ifndef OKMS_AUDIT_ETCD_CLIENT_H_
#define OKMS_AUDIT_ETCD_CLIENT_H_

#include <grpcpp/channel.h>
#include <grpcpp/support/status.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "audit/etcd.h"
#include "audit/etcd_endpoint.h"
#include "etcd/rpc.pb.h"

namespace okms::audit {

class EtcdClient {
 public:
  // Errors: as OpenEtcd.
  static absl::StatusOr<EtcdClient> Create(const EtcdOptions& options);

  // Goes from one endpoint to the next while they are away or silent, `rounds` times, with a pause
  // between. Blocks. Errors: kOutOfRange compacted; kResourceExhausted the answer is too large;
  // else one line that names the endpoint and what to do.
  absl::StatusOr<etcdserverpb::RangeResponse> Range(const etcdserverpb::RangeRequest& request,
                                                    int rounds);

  const std::shared_ptr<grpc::Channel>& channel() const { return channels_[current_]; }
  std::string endpoint() const { return endpoints_[current_].ToString(); }
  std::chrono::milliseconds patience() const { return patience_; }
  std::size_t endpoints() const { return endpoints_.size(); }
  void UseNext() { current_ = (current_ + 1) % endpoints_.size(); }

  // The current endpoint's answer, as an error of ours.
  absl::Status Explain(const grpc::Status& status) const;

 private:
  std::vector<EtcdEndpoint> endpoints_;
  std::vector<std::shared_ptr<grpc::Channel>> channels_;
  std::chrono::milliseconds patience_{};
  std::size_t current_ = 0;
};

// Whether another endpoint may answer.
bool MayBeElsewhere(const absl::Status& status);

// Of all keys that begin so: what follows the last of them.
std::string EndOfPrefix(absl::string_view prefix);
// The first key, as etcd takes it: it has none that is empty.
std::string StartOfPrefix(absl::string_view prefix);

}  // namespace okms::audit

#endif  // OKMS_AUDIT_ETCD_CLIENT_H_
