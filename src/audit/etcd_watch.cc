// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/etcd_watch.h"

#include "etcd/rpc.grpc.pb.h"

namespace okms::audit {
namespace {

using std::chrono::system_clock;

constexpr std::chrono::milliseconds kQuiet{100};  // then it may have sent all

void* Tag(std::intptr_t step) { return reinterpret_cast<void*>(step); }

}  // namespace

EtcdWatch::EtcdWatch(const EtcdClient& client, absl::string_view prefix, std::int64_t from,
                     std::chrono::milliseconds patience)
    : patience_(patience) {
  etcdserverpb::WatchCreateRequest& create = *create_.mutable_create_request();
  create.set_key(StartOfPrefix(prefix));
  create.set_range_end(EndOfPrefix(prefix));
  create.set_start_revision(from);
  create.set_prev_kv(true);
  create.set_fragment(true);
  stream_ = etcdserverpb::Watch::NewStub(client.channel())->PrepareAsyncWatch(&context_, &queue_);
  stream_->StartCall(Tag(kStart));
}

EtcdWatch::~EtcdWatch() {
  context_.TryCancel();
  queue_.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {
  }
}

void EtcdWatch::Write(const etcdserverpb::WatchRequest& request) {
  writing_ = true;
  stream_->Write(request, Tag(kWrite));
}

void EtcdWatch::AskHowFar() {
  etcdserverpb::WatchRequest request;
  request.mutable_progress_request();
  Write(request);
}

void EtcdWatch::End() { stream_->Finish(&status_, Tag(kFinish)); }

const etcdserverpb::WatchResponse* EtcdWatch::Next() {
  const auto silent = system_clock::now() + patience_;
  if (started_) stream_->Read(&response_, Tag(kRead));
  while (true) {
    void* tag = nullptr;
    bool ok = false;
    switch (queue_.AsyncNext(&tag, &ok, system_clock::now() + kQuiet)) {
      case grpc::CompletionQueue::SHUTDOWN: return nullptr;
      case grpc::CompletionQueue::TIMEOUT:
        if (system_clock::now() >= silent) {
          status_ = grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, "");
          return nullptr;
        }
        if (started_ && !writing_) AskHowFar();
        continue;
      case grpc::CompletionQueue::GOT_EVENT: break;
    }
    switch (reinterpret_cast<std::intptr_t>(tag)) {
      case kStart:
        if (!ok) {
          End();
          continue;
        }
        started_ = true;
        Write(create_);
        stream_->Read(&response_, Tag(kRead));
        continue;
      case kWrite: writing_ = !ok; continue;  // a stream that takes no more: the read says why
      case kRead:
        if (ok) return &response_;
        End();
        continue;
      default: return nullptr;  // kFinish
    }
  }
}

}  // namespace okms::audit
