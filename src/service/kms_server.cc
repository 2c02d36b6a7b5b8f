// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The only file that sees gRPC. It translates: messages into our types, deadlines into ours, and
// statuses back.

#include "service/kms_server.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status.h"
#include "kms/v2/api.grpc.pb.h"

namespace okms {
namespace {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;
using std::chrono::milliseconds;

constexpr char kApiVersion[] = "v2";
constexpr char kHealthy[] = "ok";

// The largest request: a ciphertext of 1 kB with 32 kB of annotations, and some room.
constexpr int kMaxRequestSize = 128 * 1024;  // bytes

// Our answer must be there before the caller stops to wait for it, or the reason is lost.
constexpr milliseconds kAnswerMargin{100};

// At the end, for answers that are given but still on their way into the socket.
constexpr milliseconds kLastAnswers{200};

// The one place where our errors become gRPC's: the codes are the same by number.
grpc::Status ToGrpc(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()), Message(status)};
}

// Lets the end of the server wait for the calls under way.
class CallCount {
 public:
  void Begin() {
    const std::lock_guard lock(mutex_);
    ++count_;
  }
  void End() {
    const std::lock_guard lock(mutex_);
    if (--count_ == 0) none_.notify_all();
  }
  void WaitForNone(Deadline deadline) {
    std::unique_lock lock(mutex_);
    none_.wait_until(lock, deadline, [&] { return count_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable none_;
  int count_ = 0;
};

class Service final : public v2::KeyManagementService::CallbackService {
 public:
  Service(KeyManager& keys, const Logger& log, milliseconds timeout)
      : keys_(keys), log_(log), timeout_(timeout) {}

  ServerUnaryReactor* Status(CallbackServerContext* context, const v2::StatusRequest*,
                             v2::StatusResponse* response) override {
    ServerUnaryReactor* reactor = Begin(context);
    keys_.Status(DeadlineOf(*context),
                 [this, reactor, response](absl::StatusOr<std::string> key_id) {
                   if (!key_id.ok()) {
                     // An error rather than a healthz text: with a text, the apiserver would go on
                     // to write under its old seed for ever.
                     Finish(reactor, ToGrpc(key_id.status()));
                     return;
                   }
                   response->set_version(kApiVersion);
                   response->set_healthz(kHealthy);
                   response->set_key_id(*std::move(key_id));
                   Finish(reactor, grpc::Status::OK);
                 });
    return reactor;
  }

  ServerUnaryReactor* Encrypt(CallbackServerContext* context, const v2::EncryptRequest* request,
                              v2::EncryptResponse* response) override {
    ServerUnaryReactor* reactor = Begin(context);
    keys_.Encrypt(Secret(AsBytes(request->plaintext())), DeadlineOf(*context),
                  [this, reactor, request, response](absl::StatusOr<Encrypted> result) {
                    if (!result.ok()) {
                      Fail(reactor, "Encrypt", request->uid(), result.status());
                      return;
                    }
                    response->set_key_id(std::move(result->key_id));
                    response->set_ciphertext(std::move(result->ciphertext.bytes));
                    for (auto& [name, value] : result->ciphertext.annotations) {
                      (*response->mutable_annotations())[name] = std::move(value);
                    }
                    Finish(reactor, grpc::Status::OK);
                  });
    return reactor;
  }

  ServerUnaryReactor* Decrypt(CallbackServerContext* context, const v2::DecryptRequest* request,
                              v2::DecryptResponse* response) override {
    ServerUnaryReactor* reactor = Begin(context);
    Ciphertext ciphertext{request->ciphertext(),
                          {request->annotations().begin(), request->annotations().end()}};
    keys_.Decrypt(request->key_id(), std::move(ciphertext), DeadlineOf(*context),
                  [this, reactor, request, response](absl::StatusOr<Secret> plaintext) {
                    if (!plaintext.ok()) {
                      Fail(reactor, "Decrypt", request->uid(), plaintext.status());
                      return;
                    }
                    const ByteView bytes = plaintext->Reveal();
                    response->set_plaintext(bytes.data(), bytes.size());
                    Finish(reactor, grpc::Status::OK);
                  });
    return reactor;
  }

  void WaitForCalls(Deadline deadline) { calls_.WaitForNone(deadline); }

 private:
  Deadline DeadlineOf(const CallbackServerContext& context) const {
    const auto theirs = context.deadline();
    if (theirs == std::chrono::system_clock::time_point::max()) return Clock::now() + timeout_;
    const auto left =
        std::chrono::duration_cast<milliseconds>(theirs - std::chrono::system_clock::now());
    return Clock::now() + std::min(timeout_, left - std::min(kAnswerMargin, left / 10));
  }

  void Fail(ServerUnaryReactor* reactor, absl::string_view call, absl::string_view uid,
            const absl::Status& status) {
    log_.Warning(absl::StrCat(call, " failed (uid ", Printable(uid, 80), "): ", Describe(status)));
    Finish(reactor, ToGrpc(status));
  }

  ServerUnaryReactor* Begin(CallbackServerContext* context) {
    calls_.Begin();
    return context->DefaultReactor();
  }

  // Counts first: once the reactor has finished, the server that owns us may be gone.
  void Finish(ServerUnaryReactor* reactor, const grpc::Status& status) {
    calls_.End();
    reactor->Finish(status);
  }

  KeyManager& keys_;
  const Logger& log_;
  const milliseconds timeout_;
  CallCount calls_;
};

class GrpcKmsServer final : public KmsServer {
 public:
  GrpcKmsServer(KeyManager& keys, const Logger& log, milliseconds timeout)
      : service_(keys, log, timeout) {
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(kMaxRequestSize);
    builder.RegisterService(&service_);
    // Who may connect has been checked by the credentials of the socket's peer before we see it.
    acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
        grpc::InsecureServerCredentials());
    server_ = builder.BuildAndStart();
  }

  ~GrpcKmsServer() override { Shutdown(Clock::now()); }

  bool started() const { return server_ != nullptr; }

  void Serve(UniqueFd connection) override {
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
    parameters.fd = connection.release();
    acceptor_->HandleNewConnection(&parameters);
  }

  void Shutdown(Deadline deadline) override {
    if (server_ == nullptr) return;
    // gRPC's own wait is for connections too, which a client may keep for as long as it likes.
    service_.WaitForCalls(deadline);
    server_->Shutdown(std::chrono::system_clock::now() + kLastAnswers);
    server_.reset();
  }

 private:
  Service service_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<KmsServer>> KmsServer::Start(KeyManager& keys, const Logger& log,
                                                            milliseconds operation_timeout) {
  auto server = std::make_unique<GrpcKmsServer>(keys, log, operation_timeout);
  if (!server->started()) return absl::InternalError("gRPC refuses to start a server");
  return server;
}

}  // namespace okms
