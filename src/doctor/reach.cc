// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "doctor/reach.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/await.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "net/lookup.h"

namespace okms::doctor {
namespace {

constexpr std::chrono::milliseconds kVerdict{300};

}  // namespace

absl::StatusOr<std::vector<Address>> Resolve(const HostPort& target, Deadline deadline) {
  if (const std::optional<Address> address = ParseAddress(target)) return std::vector{*address};
  Lookup lookup(target);
  while (!lookup.done()) {
    if (Expired(deadline)) {
      return absl::DeadlineExceededError(absl::StrCat("cannot resolve ", target.host,
                                                      ": the name service did not answer in time"));
    }
    std::vector<pollfd> descriptors = lookup.Descriptors();
    ::poll(descriptors.data(), descriptors.size(),
           PollTimeout(std::min<Deadline>(deadline, lookup.NextTime())));
    lookup.Process();
  }
  return lookup.result();
}

absl::Status TryConnect(const Address& address, Deadline deadline) {
  const UniqueFd fd(
      ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return ErrnoStatus(absl::StatusCode::kUnavailable, "socket", errno);
  // A sockaddr is what the socket API calls a sockaddr_storage.
  const auto* const target = reinterpret_cast<const sockaddr*>(&address.storage);
  if (::connect(fd.get(), target, address.size) == 0) return absl::OkStatus();
  int error = errno;
  if (error == EINPROGRESS) {
    OKMS_RETURN_IF_ERROR(Await(fd.get(), POLLOUT, deadline));
    socklen_t size = sizeof error;
    ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  }
  if (error == 0) return absl::OkStatus();
  return ErrnoStatus(absl::StatusCode::kUnavailable, "connect", error);
}

absl::Status AwaitVerdict(TlsSocket& socket) {
  // Usually a ticket to resume the session.
  if (!socket.more() && !Await(socket.fd(), POLLIN, Clock::now() + kVerdict).ok()) {
    return absl::OkStatus();
  }
  std::array<uint8_t, 256> buffer{};
  return socket.Read(buffer).status();
}

absl::StatusOr<std::unique_ptr<TlsSocket>> ShakeHands(const HostPort& target,
                                                      const Address& address,
                                                      const TlsContext& context,
                                                      Deadline deadline) {
  OKMS_ASSIGN_OR_RETURN(std::unique_ptr<TlsSocket> socket,
                        TlsSocket::Create(target, address, context));
  while (true) {
    OKMS_ASSIGN_OR_RETURN(const short events, socket->Continue());
    if (events == 0) return socket;
    if (absl::Status status = Await(socket->fd(), events, deadline); !status.ok()) {
      return socket->BrokenOff(status);
    }
  }
}

}  // namespace okms::doctor
