// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "ctl/kms_decrypt.h"

#include <fcntl.h>
#include <poll.h>

#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/deadline.h"
#include "base/secret.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "client/kms_client.h"
#include "ctl/connection.h"

namespace okms::ctl {
namespace {

constexpr std::chrono::seconds kPatience{3};  // kube-apiserver's timeout, unless it is configured

// It shows in the plugin's log who asked.
std::string NewUid() {
  std::random_device random;
  const auto high = std::uint64_t{random()} << 32;
  return absl::StrCat("okms-kms-ctl-", absl::Hex(high | random(), absl::kZeroPad16));
}

}  // namespace

struct KmsDecrypt::Connection {
  explicit Connection(UniqueFd connection)
      : same(::fcntl(connection.get(), F_DUPFD_CLOEXEC, 0)),
        client(std::move(connection), {.timeout = kPatience}) {}

  bool HungUp() const {
    pollfd end{same.get(), POLLRDHUP, 0};
    return ::poll(&end, 1, 0) != 0;
  }

  const UniqueFd same;  // the client closes the other one
  client::KmsClient client;
};

KmsDecrypt::KmsDecrypt(SocketAddress plugin) : plugin_(std::move(plugin)) {}
KmsDecrypt::~KmsDecrypt() = default;

absl::Status KmsDecrypt::Open() { return Connected(nullptr).status(); }

absl::StatusOr<std::shared_ptr<KmsDecrypt::Connection>> KmsDecrypt::Connected(
    const Connection* bad) {
  const std::lock_guard lock(mutex_);
  if (connection_ == nullptr || connection_.get() == bad) {
    absl::StatusOr<UniqueFd> socket = Connect(plugin_, Clock::now() + kPatience);
    if (!socket.ok()) {
      return Annotate(socket.status(),
                      absl::StrCat("the plugin cannot be reached: ", plugin_.ToString()));
    }
    connection_ = std::make_shared<Connection>(*std::move(socket));
  }
  return connection_;
}

absl::StatusOr<audit::Unwrapped> KmsDecrypt::operator()(const audit::Wrapped& wrapped) {
  const client::Record record{wrapped.ciphertext, wrapped.key_id, wrapped.annotations};
  std::shared_ptr<Connection> bad;
  int hang_ups = 0;
  bool unavailable = false;
  while (hang_ups < 2) {
    OKMS_ASSIGN_OR_RETURN(const std::shared_ptr<Connection> connection, Connected(bad.get()));
    absl::StatusOr<std::string> answer = connection->client.Decrypt(record, NewUid());
    if (answer.ok()) {
      audit::Unwrapped unwrapped{absl::OkStatus(), Secret(AsBytes(*answer))};
      Wipe(*answer);  // gRPC's and protobuf's own copies are wiped as they are freed
      return unwrapped;
    }
    if (connection->HungUp()) {
      ++hang_ups;
    } else if (!unavailable && absl::IsUnavailable(answer.status())) {
      // It may be a plugin that ends: that has told us to leave, and serves the calls under way.
      unavailable = true;
    } else {
      return audit::Unwrapped{answer.status(), Secret()};
    }
    bad = connection;
  }
  return absl::PermissionDeniedError(absl::StrCat(
      "the plugin at ", plugin_.ToString(), " hung up, as it does when this user may not connect"));
}

}  // namespace okms::ctl
