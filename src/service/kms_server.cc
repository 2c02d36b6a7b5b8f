// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The life of gRPC's server, and its end.

#include "service/kms_server.h"

#include <grpcpp/create_channel_posix.h>
#include <grpcpp/grpcpp.h>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/status.h"
#include "kms/v2/api.grpc.pb.h"
#include "service/completions.h"
#include "service/connections.h"
#include "service/health_service.h"
#include "service/kms_service.h"
#include "service/other_calls.h"

namespace okms {
namespace {

using std::chrono::milliseconds;

// The largest request: a ciphertext of 1 kB with 32 kB of annotations, and some room.
constexpr int kMaxRequestSize = 128 * 1024;  // bytes

// What one connection may have under way: a client keeps what is over that for itself. Each costs
// some 11 kB until its answer is read. Many more than the KMS works on at a time.
constexpr int kMaxCalls = 64;

// What requests that are only half there may take, of all connections together. Beyond it gRPC
// gives up connections; calls that are whole need next to nothing of it.
constexpr std::size_t kMaxRequestMemory = 32 * 1024 * 1024;  // bytes

// Two for each connection, gRPC's and ours, and all others: the KMS, names, the event loop.
constexpr rlim_t kDescriptors = 2 * Connections::kMost + 128;

constexpr std::chrono::seconds kTick{5};

// So many calls leave something behind that is worth to be given back.
constexpr uint64_t kBurst = 64;

// At the end: how long a connection that its peer does not close must be quiet to count as idle. A
// call that was sent before the peer heard of the end must have reached us by then, and the last
// answer the peer.
constexpr milliseconds kQuiet{500};
constexpr milliseconds kLook{2};

// Calls that we make to ourselves, over a connection of our own, as any client does. They are
// answered only while gRPC's threads, its transport, and the service move.
class SelfCall final : public Completions::Tag {
 public:
  SelfCall(UniqueFd connection, Completions& completions, milliseconds timeout)
      : Tag(completions), queue_(completions.queue()), timeout_(timeout) {
    stub_ = v2::KeyManagementService::NewStub(
        grpc::CreateInsecureChannelFromFd("self", connection.release()));
  }
  ~SelfCall() {
    std::unique_lock lock(mutex_);
    if (!answered_) context_->TryCancel();
    done_.wait(lock, [&] { return answered_; });
  }

  // See KmsServer::ProbeDeadline.
  Deadline Due() {
    {
      const std::lock_guard lock(mutex_);
      if (!answered_) return due_;
      answered_ = false;
    }
    due_ = Clock::now() + timeout_;
    // Without a deadline of its own, so that only the server can end it.
    context_ = std::make_unique<grpc::ClientContext>();
    context_->AddMetadata(kOurOwnCall, "");
    answer_ = stub_->AsyncStatus(context_.get(), {}, queue_);
    answer_->Finish(&response_, &status_, this);
    return due_;
  }

  // What the answer is does not matter.
  void Completed(bool) override {
    const std::lock_guard lock(mutex_);
    answered_ = true;
    done_.notify_all();
  }

 private:
  grpc::CompletionQueue* const queue_;
  const milliseconds timeout_;
  std::unique_ptr<v2::KeyManagementService::Stub> stub_;
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<v2::StatusResponse>> answer_;
  v2::StatusResponse response_;
  grpc::Status status_;
  Deadline due_;
  std::mutex mutex_;  // guards all below
  std::condition_variable done_;
  bool answered_ = true;
};

class GrpcKmsServer final : public KmsServer {
 public:
  GrpcKmsServer(KeyManager& keys, const Logger& log, milliseconds timeout)
      : timeout_(timeout), service_(keys, log, timeout), health_(keys), other_calls_(log) {
    // gRPC's locks are Abseil's. Where that was built without NDEBUG, as Debian's is, each of them
    // is entered in a graph, under a lock for all, to end the process when their order differs.
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(kMaxRequestSize);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxCalls);
    builder.SetResourceQuota(grpc::ResourceQuota("requests").Resize(kMaxRequestMemory));
    builder.RegisterService(&service_.methods());
    builder.RegisterService(&health_.methods());
    builder.RegisterAsyncGenericService(&other_calls_.methods());
    completions_ = std::make_unique<Completions>(builder.AddCompletionQueue());
    // Who may connect has been checked by the credentials of the socket's peer before we see it.
    acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
        grpc::InsecureServerCredentials());
    server_ = builder.BuildAndStart();
  }

  ~GrpcKmsServer() override { Shutdown(Clock::now()); }

  // The second half of the construction. Errors: kInternal.
  absl::Status Init() {
    if (server_ == nullptr) return absl::InternalError("gRPC refuses to start a server");
    service_.Begin(*completions_);
    health_.Begin(*completions_);
    other_calls_.Begin(*completions_);
    completions_->Start();
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) != 0) {
      return ErrnoStatus(absl::StatusCode::kInternal, "socketpair", errno);
    }
    self_call_ = std::make_unique<SelfCall>(UniqueFd(ends[0]), *completions_, timeout_);
    HandOver(UniqueFd(ends[1]));
    return absl::OkStatus();
  }

  bool Serve(UniqueFd connection) override {
    if (!connections_.Add(connection.get())) return false;
    ++served_;
    HandOver(std::move(connection));
    return true;
  }

  Deadline CallDeadline() const override { return service_.calls().FirstDeadline(); }

  Deadline ProbeDeadline() override { return self_call_->Due(); }

  ServiceStats Stats() override {
    Sweep();
    return {service_.counters().Stats(),
            service_.calls().size(),
            other_calls_.count(),
            connections_.size(),
            served_,
            service_.failures().folded()};
  }

  Deadline Tick() override {
    service_.failures().Tick();
    GiveMemoryBack();
    return Clock::now() + kTick;
  }

  void Shutdown(Deadline deadline) override {
    if (server_ == nullptr) return;
    self_call_.reset();
    Drain(deadline);
    // Whoever is still there has heard of it, and has no call under way unless `deadline` is over.
    server_->Shutdown(std::chrono::system_clock::now());
    completions_.reset();
    server_.reset();
  }

 private:
  void HandOver(UniqueFd connection) {
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
    // gRPC of today refuses what no listener accepted, but asks no more of it than to be a number.
    parameters.listener_fd = connection.get();
    parameters.fd = connection.release();
    acceptor_->HandleNewConnection(&parameters);
  }

  // Whoever finds connections closed: their memory is to be given back.
  void Sweep() { untidy_ = connections_.Sweep() || untidy_; }

  // What a burst has left behind, once it is over: malloc keeps what lies between blocks in use.
  // (The kernel takes nothing back while memory is locked; then it stays for the next burst.)
  void GiveMemoryBack() {
    const uint64_t calls = service_.calls().begun();
    Sweep();
    untidy_ = untidy_ || calls - tidied_after_ >= kBurst;
    if (!untidy_ || !service_.calls().None()) return;
    ::malloc_trim(/*pad=*/0);
    untidy_ = false;
    tidied_after_ = calls;
  }

  // Returns when every peer has closed its connection, or those that stay are idle.
  void Drain(Deadline deadline) {
    Deadline quiet_since = Clock::now();
    while (!Expired(deadline)) {
      connections_.Announce();
      const bool idle = service_.calls().None();
      if (!connections_.AnyOpen() && idle) return;
      if (!idle || connections_.AnyUnread()) quiet_since = Clock::now();
      if (Clock::now() - quiet_since >= kQuiet) return;
      std::this_thread::sleep_for(kLook);
    }
  }

  const milliseconds timeout_;
  KmsService service_;
  HealthService health_;
  OtherCalls other_calls_;
  Connections connections_;
  uint64_t served_ = 0;        // connections
  bool untidy_ = true;         // the start is one burst
  uint64_t tidied_after_ = 0;  // so many calls
  std::unique_ptr<Completions> completions_;
  std::unique_ptr<SelfCall> self_call_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

absl::Status KmsServer::ReserveDescriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return ErrnoStatus(absl::StatusCode::kFailedPrecondition, "RLIMIT_NOFILE", errno);
  }
  if (limit.rlim_cur >= kDescriptors) return absl::OkStatus();
  const rlim_t allowed = limit.rlim_max;
  limit.rlim_cur = std::min(allowed, kDescriptors);
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return ErrnoStatus(absl::StatusCode::kFailedPrecondition, "RLIMIT_NOFILE", errno);
  }
  if (allowed >= kDescriptors) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "no more than ", allowed, " files may be open, and many connections need ", kDescriptors,
      ": raise RLIMIT_NOFILE (LimitNOFILE=", kDescriptors, " in a unit)"));
}

absl::StatusOr<std::unique_ptr<KmsServer>> KmsServer::Start(KeyManager& keys, const Logger& log,
                                                            milliseconds operation_timeout) {
  auto server = std::make_unique<GrpcKmsServer>(keys, log, operation_timeout);
  OKMS_RETURN_IF_ERROR(server->Init());
  return server;
}

}  // namespace okms
