// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "conformance/byte_server.h"

#include <fcntl.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/server_posix.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <memory>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/unix_address.h"

namespace okms::test {
namespace {

using std::chrono::milliseconds;

// The executables of tests link what is here without TLS.
class Reactor final : public grpc::ServerGenericBidiReactor {
 public:
  Reactor(grpc::GenericCallbackServerContext& context, const ByteService& service)
      : context_(context), service_(service) {
    StartRead(&request_);
  }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) {
      Finish(grpc::Status(grpc::StatusCode::INTERNAL, "there is no request"));
      return;
    }
    std::thread([this] { Answer(); }).detach();
  }

  void Answer() {
    std::vector<grpc::Slice> slices;
    request_.Dump(&slices);
    ByteCall call{context_.method(), context_.host(), "", Left(),
                  [this] { return context_.IsCancelled(); }};
    for (const grpc::Slice& slice : slices) {
      call.message.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    }
    const absl::StatusOr<std::string> answer = service_.answer(call);
    if (!answer.ok()) {
      Finish({static_cast<grpc::StatusCode>(answer.status().code()),
              std::string(answer.status().message())});
      return;
    }
    const grpc::Slice slice(*answer);
    answer_ = grpc::ByteBuffer(&slice, 1);
    StartWriteAndFinish(&answer_, {}, grpc::Status::OK);
  }

  milliseconds Left() const {
    const auto deadline = context_.deadline();
    if (deadline == std::chrono::system_clock::time_point::max()) return milliseconds::max();
    return std::chrono::duration_cast<milliseconds>(deadline - std::chrono::system_clock::now());
  }

  void OnDone() override { delete this; }

  grpc::GenericCallbackServerContext& context_;
  const ByteService& service_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer answer_;
};

class GenericService final : public grpc::CallbackGenericService {
 public:
  explicit GenericService(const ByteService& service) : service_(service) {}

 private:
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    return new Reactor(*context, service_);
  }

  const ByteService& service_;
};

[[noreturn]] void Die(absl::string_view why) {
  std::cerr << "okms-wrong-plugin: " << why << std::endl;
  std::exit(1);
}

}  // namespace

void Serve(const std::string& socket, bool replace, const ByteService& service) {
  const auto address = UnixAddress::Of(socket);
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (replace) ::unlink(socket.c_str());
  if (!address || ::bind(listener, address->get(), address->size()) != 0 ||
      ::listen(listener, SOMAXCONN) != 0) {
    Die(absl::StrCat("cannot listen at ", socket));
  }
  GenericService generic(service);
  grpc::ServerBuilder builder;
  builder.RegisterCallbackGenericService(&generic);
  builder.SetMaxReceiveMessageSize(-1);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  std::cout << "listening at " << socket << std::endl;
  while (true) {
    const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) Die("accept");
    if (!service.admit(fd)) {
      ::close(fd);
      continue;
    }
    ::fcntl(fd, F_SETFL, O_NONBLOCK);
    grpc::AddInsecureChannelFromFd(server.get(), fd);
  }
}

}  // namespace okms::test
