// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "ctl/kms_decrypt.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "base/unique_fd.h"
#include "kms/v2/api.grpc.pb.h"
#include "support/status_is.h"
#include "support/temp_dir.h"

namespace okms::ctl {
namespace {

using test::IsOk;
using test::StatusIs;
using testing::HasSubstr;

// Answers all.
class FakePlugin final : public v2::KeyManagementService::Service {
 public:
  FakePlugin(const std::string& path, grpc::Status answer) : answer_(std::move(answer)) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(absl::StrCat("unix:", path), grpc::InsecureServerCredentials());
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }

  int asked() const { return asked_; }

 private:
  grpc::Status Decrypt(grpc::ServerContext* /*context*/, const v2::DecryptRequest* /*request*/,
                       v2::DecryptResponse* response) override {
    ++asked_;
    response->set_plaintext("seed");
    return answer_;
  }

  const grpc::Status answer_;
  std::atomic<int> asked_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

// At its end: takes one call, which it does not answer, and tells its caller to make no other.
class EndingPlugin {
 public:
  explicit EndingPlugin(const std::string& path)
      : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
              0);
    EXPECT_EQ(::listen(socket_.get(), 1), 0);
    thread_ = std::thread([this] { Run(); });
  }
  ~EndingPlugin() {
    over_.Notify();
    thread_.join();
  }

  void WaitUntilItHasSaidSo() { said_.WaitForNotification(); }

 private:
  static constexpr std::size_t kPreface = 24;  // of HTTP/2
  static constexpr std::size_t kFrameHead = 9;
  static constexpr std::uint8_t kHeaders = 1;

  void Run() {
    const UniqueFd caller(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    constexpr std::array<std::uint8_t, 9> kSettings{0, 0, 0, 4, 0, 0, 0, 0, 0};
    EXPECT_EQ(::send(caller.get(), kSettings.data(), kSettings.size(), MSG_NOSIGNAL), 9);
    Take(caller, kPreface);
    while (true) {
      const std::vector<std::uint8_t> head = Take(caller, kFrameHead);
      Take(caller, std::size_t{head[1]} << 8 | head[2]);
      if (head[3] == kHeaders || testing::Test::HasFailure()) break;
    }
    // The last stream that it serves is the first one.
    constexpr std::array<std::uint8_t, 17> kGoaway{0, 0, 8, 7, 0, 0, 0, 0, 0,
                                                   0, 0, 0, 1, 0, 0, 0, 0};
    EXPECT_EQ(::send(caller.get(), kGoaway.data(), kGoaway.size(), MSG_NOSIGNAL), 17);
    said_.Notify();
    over_.WaitForNotification();
  }

  static std::vector<std::uint8_t> Take(const UniqueFd& from, std::size_t size) {
    std::vector<std::uint8_t> bytes(size);
    EXPECT_EQ(::recv(from.get(), bytes.data(), size, MSG_WAITALL), static_cast<ssize_t>(size));
    return bytes;
  }

  const UniqueFd socket_;
  absl::Notification said_;
  absl::Notification over_;
  std::thread thread_;
};

audit::Wrapped Ciphertext() { return {"ciphertext", "key-1", {}}; }
constexpr int kCallers = 4;

class KmsDecryptTest : public testing::Test {
 protected:
  std::string At(const std::string& name) const { return folder_ / name; }
  // Where the plugin is from now on.
  void Put(const std::string& name) const {
    std::filesystem::create_symlink(At(name), At("next"));
    std::filesystem::rename(At("next"), At("kms.sock"));
  }

  const test::TempDir folder_;
  KmsDecrypt decrypt_{{.path = At("kms.sock"), .abstract_name = {}}};
};

TEST_F(KmsDecryptTest, GoesOnAtTheNextPluginWhileTheLastOneServesWhatItHas) {
  EndingPlugin last(At("last"));
  FakePlugin next(At("started"), grpc::Status::OK);
  Put("last");
  ASSERT_THAT(decrypt_.Open(), IsOk());
  std::thread waiting([&] { (void)decrypt_(Ciphertext()); });
  last.WaitUntilItHasSaidSo();
  Put("started");

  std::vector<std::thread> callers;
  for (int i = 0; i < kCallers; ++i) {
    callers.emplace_back([&] {
      const auto answer = decrypt_(Ciphertext());
      ASSERT_THAT(answer, IsOk());
      EXPECT_THAT(answer->refusal, IsOk());
      EXPECT_EQ(AsText(answer->bytes.Reveal()), "seed");
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(next.asked(), kCallers);
  waiting.join();
}

TEST_F(KmsDecryptTest, TakesTheSecondRefusalOfAKmsThatIsAway) {
  FakePlugin plugin(At("away"), {grpc::StatusCode::UNAVAILABLE, "the KMS is away"});
  Put("away");
  const auto answer = decrypt_(Ciphertext());
  ASSERT_THAT(answer, IsOk());
  EXPECT_THAT(answer->refusal,
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("the KMS is away")));
  EXPECT_EQ(plugin.asked(), 2);
}

TEST_F(KmsDecryptTest, AsksOnceWhereItIsRefused) {
  FakePlugin plugin(At("sound"), {grpc::StatusCode::NOT_FOUND, "no such key"});
  Put("sound");
  const auto answer = decrypt_(Ciphertext());
  ASSERT_THAT(answer, IsOk());
  EXPECT_THAT(answer->refusal, StatusIs(absl::StatusCode::kNotFound, HasSubstr("no such key")));
  EXPECT_EQ(plugin.asked(), 1);
}

}  // namespace
}  // namespace okms::ctl
