// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// One stream of etcd's Watch.

#ifndef OKMS_AUDIT_ETCD_WATCH_H_
#define OKMS_AUDIT_ETCD_WATCH_H_

#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/status.h>

#include <chrono>
#include <cstdint>
#include <memory>

#include "absl/strings/string_view.h"
#include "audit/etcd_client.h"
#include "etcd/rpc.pb.h"

namespace okms::audit {

class EtcdWatch {
 public:
  // Of all events of the prefix, from that revision on, each with what it replaced.
  // `patience`: for how long nothing may come.
  EtcdWatch(const EtcdClient& client, absl::string_view prefix, std::int64_t from,
            std::chrono::milliseconds patience);
  EtcdWatch(const EtcdWatch&) = delete;
  EtcdWatch& operator=(const EtcdWatch&) = delete;
  ~EtcdWatch();

  // The next answer; null at the end, and then status() says why. While nothing comes, etcd is
  // asked how far it is; a silence that is too long is an end as well. Blocks.
  const etcdserverpb::WatchResponse* Next();
  const grpc::Status& status() const { return status_; }

 private:
  enum Step : std::intptr_t { kStart = 1, kRead, kWrite, kFinish };

  void Write(const etcdserverpb::WatchRequest& request);
  void AskHowFar();
  void End();

  const std::chrono::milliseconds patience_;
  grpc::CompletionQueue queue_;
  grpc::ClientContext context_;
  std::unique_ptr<
      grpc::ClientAsyncReaderWriter<etcdserverpb::WatchRequest, etcdserverpb::WatchResponse>>
      stream_;
  etcdserverpb::WatchRequest create_;
  etcdserverpb::WatchResponse response_;
  grpc::Status status_;
  bool started_ = false;
  bool writing_ = false;
};

}  // namespace okms::audit

#endif  // OKMS_AUDIT_ETCD_WATCH_H_
