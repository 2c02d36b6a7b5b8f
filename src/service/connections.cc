// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "service/connections.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/debug.h"

namespace okms {
namespace {

// gRPC's first frame leaves as soon as it has the connection. A peer that hears of the end before
// takes the connection for a failed one and makes another.
constexpr std::chrono::milliseconds kYoung{100};

// RFC 9113 section 6.8: length 8, type GOAWAY, no flags, stream 0; the highest stream id there can
// be, and NO_ERROR.
constexpr std::array<uint8_t, 17> kGoaway{0,    0,    8,    7,    0, 0, 0, 0, 0,
                                          0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0};

short Events(int fd, short asked) {
  pollfd entry{fd, asked, 0};
  return ::poll(&entry, 1, 0) > 0 ? entry.revents : short{0};
}

bool Closed(int fd) { return (Events(fd, POLLRDHUP) & (POLLRDHUP | POLLHUP | POLLERR)) != 0; }

}  // namespace

bool Connections::Add(int connection) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  if (!RoomFor(peer.uid)) {
    Sweep();
    if (!RoomFor(peer.uid)) return false;
  }
  UniqueFd fd(::fcntl(connection, F_DUPFD_CLOEXEC, 0));
  if (fd) connections_.push_back({std::move(fd), peer.uid, Clock::now()});
  return true;
}

bool Connections::RoomFor(uid_t uid) const {
  const auto of = [&](auto&& wanted) {
    return static_cast<std::size_t>(
        std::count_if(connections_.begin(), connections_.end(),
                      [&](const Connection& connection) { return wanted(connection.uid); }));
  };
  return of([&](uid_t other) { return other == uid; }) < kOfOneUser &&
         (uid == 0 || of([](uid_t other) { return other != 0; }) < kOfOthers);
}

void Connections::Announce() {
  const Deadline old_enough = Clock::now() - kYoung;
  for (Connection& connection : connections_) {
    if (connection.announced || connection.since > old_enough) continue;
    connection.announced = true;
    // To a peer that is gone, or whose buffer is full, there is nothing to say.
    [[maybe_unused]] const auto sent =
        ::send(connection.fd.get(), kGoaway.data(), kGoaway.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  }
}

bool Connections::AnyOpen() {
  Sweep();
  return !connections_.empty();
}

bool Connections::AnyUnread() const {
  return std::any_of(connections_.begin(), connections_.end(), [](const Connection& connection) {
    return (Events(connection.fd.get(), POLLIN) & POLLIN) != 0;
  });
}

bool Connections::Sweep() {
  return 0 < std::erase_if(connections_, [](const Connection& connection) {
           if (!Closed(connection.fd.get())) return false;
           Debug([&] { return absl::StrCat("connection of user ", connection.uid, " closed"); });
           return true;
         });
}

}  // namespace okms
