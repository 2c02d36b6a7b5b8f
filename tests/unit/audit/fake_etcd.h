// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// An etcd that does what etcd does when things go wrong.

#ifndef OKMS_TESTS_UNIT_AUDIT_FAKE_ETCD_H_
#define OKMS_TESTS_UNIT_AUDIT_FAKE_ETCD_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "etcd/rpc.grpc.pb.h"

namespace okms::audit {

class FakeEtcd final : public etcdserverpb::KV::Service, public etcdserverpb::Watch::Service {
 public:
  FakeEtcd() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(static_cast<etcdserverpb::KV::Service*>(this));
    builder.RegisterService(static_cast<etcdserverpb::Watch::Service*>(this));
    server_ = builder.BuildAndStart();
  }
  ~FakeEtcd() override { Stop(); }

  void Stop() { server_->Shutdown(std::chrono::system_clock::now()); }
  std::string url() const { return absl::StrCat("http://127.0.0.1:", port_); }

  // Before each answer; an error is the answer.
  std::function<grpc::Status(const etcdserverpb::RangeRequest&)> on_range =
      [](const etcdserverpb::RangeRequest&) { return grpc::Status::OK; };
  // What a watch sends, in answers; then it waits for the end, or ends with `watch_end`.
  std::function<std::vector<etcdserverpb::WatchResponse>(std::int64_t from)> on_watch;
  grpc::Status watch_end = grpc::Status::OK;
  bool watch_ends = false;
  std::int64_t watch_revision = 0;  // how far it says it is; 0: revision

  // What a page has is changed so.
  std::function<void(etcdserverpb::RangeResponse&)> on_page = [](etcdserverpb::RangeResponse&) {};

  std::map<std::string, std::string> values;
  std::int64_t value_revision = 10;
  std::int64_t revision = 100;
  std::atomic<int> ranges{0};
  std::atomic<int> watches{0};

 private:
  grpc::Status Range(grpc::ServerContext* /*context*/, const etcdserverpb::RangeRequest* request,
                     etcdserverpb::RangeResponse* response) override {
    ++ranges;
    if (grpc::Status status = on_range(*request); !status.ok()) return status;
    response->mutable_header()->set_revision(revision);
    response->set_count(static_cast<std::int64_t>(values.size()));
    if (request->count_only()) return grpc::Status::OK;
    for (auto at = values.lower_bound(request->key()); at != values.end(); ++at) {
      if (at->first >= request->range_end()) break;
      if (response->kvs_size() == request->limit()) {
        response->set_more(true);
        break;
      }
      mvccpb::KeyValue& kv = *response->add_kvs();
      kv.set_key(at->first);
      kv.set_value(at->second);
      kv.set_mod_revision(value_revision);
    }
    if (response->kvs_size() > 0) on_page(*response);
    return grpc::Status::OK;
  }

  grpc::Status Watch(grpc::ServerContext* /*context*/,
                     grpc::ServerReaderWriter<etcdserverpb::WatchResponse,
                                              etcdserverpb::WatchRequest>* stream) override {
    ++watches;
    etcdserverpb::WatchRequest request;
    if (!stream->Read(&request)) return grpc::Status::OK;
    etcdserverpb::WatchResponse created;
    created.set_created(true);
    stream->Write(created);
    for (const auto& response : on_watch(request.create_request().start_revision())) {
      stream->Write(response);
    }
    if (watch_ends) return watch_end;
    while (stream->Read(&request)) {  // it asks how far we are
      etcdserverpb::WatchResponse progress;
      progress.mutable_header()->set_revision(watch_revision > 0 ? watch_revision : revision);
      stream->Write(progress);
    }
    return grpc::Status::OK;
  }

  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace okms::audit

#endif  // OKMS_TESTS_UNIT_AUDIT_FAKE_ETCD_H_
