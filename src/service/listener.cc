// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "service/listener.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/debug.h"
#include "base/status.h"

namespace okms {
namespace {

// A stranger who knocks without pause must not fill the log.
constexpr std::chrono::seconds kReportInterval{10};

template <typename T>
bool Contains(const std::vector<T>& values, T value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

// The supplementary groups of the peer; none when the kernel does not say.
std::vector<gid_t> PeerGroups(int connection) {
  std::vector<gid_t> groups(64);
  while (true) {
    auto size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    const int result = ::getsockopt(connection, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size);
    const std::size_t count = size / sizeof(gid_t);
    if (result == 0) {
      groups.resize(count);
      return groups;
    }
    if (errno != ERANGE || count <= groups.size()) return {};
    groups.resize(count);
  }
}

// Whether `id` is in a map of a user namespace: lines of "INSIDE OUTSIDE COUNT"
// (user_namespaces(7)).
bool IsMapped(uint64_t id, const std::string& map) {
  std::ifstream lines(map);
  if (!lines) return true;
  uint64_t inside = 0;
  uint64_t outside = 0;
  uint64_t count = 0;
  while (lines >> inside >> outside >> count) {
    if (id >= inside && id - inside < count) return true;
  }
  return false;
}

}  // namespace

void PeerPolicy::AllowDefaults(bool own_user) {
  uids.push_back(0);
  if (own_user) uids.push_back(::geteuid());
}

std::vector<std::string> PeerPolicy::ForgetUnknown(const std::string& proc) {
  std::vector<std::string> lines;
  const auto check = [&](absl::string_view flag, auto& ids, const std::string& map) {
    std::erase_if(ids, [&](auto id) {
      if (IsMapped(id, map)) return false;
      lines.push_back(absl::StrCat(
          flag, " ", id,
          ": has no effect in this user namespace, where that id is unknown; run the plugin "
          "outside of it (PrivateUsers=no in a drop-in of the unit)"));
      return true;
    });
  };
  check("--allow-uid", uids, proc + "/uid_map");
  check("--allow-gid", gids, proc + "/gid_map");
  return lines;
}

absl::Status Listener::Accept() {
  absl::Status status = AcceptSome();
  if (status.ok() || Clock::now() < next_failure_) return status;
  log_.Error(EventName::kAcceptFailed, Describe(status));
  next_failure_ = Clock::now() + kReportInterval;
  return status;
}

absl::Status Listener::AcceptSome() {
  for (int turn = 0; turn < kInOneTurn; ++turn) {
    UniqueFd connection(::accept4(socket_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!connection) {
      switch (errno) {
        case EAGAIN: return absl::OkStatus();
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM: return ErrnoStatus(absl::StatusCode::kResourceExhausted, "accept", errno);
        case EINTR:
        case ECONNABORTED:
        case EPERM: continue;  // that one connection is gone; the next may be there
        default: return ErrnoStatus(absl::StatusCode::kInternal, "accept", errno);
      }
    }
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) continue;
    if (!Allowed(peer, connection.get())) {
      ++refused_.strangers;
      Report(peer, "only root, our own user and those of --allow-uid and --allow-gid may connect");
    } else if (!serve_(std::move(connection))) {
      ++refused_.too_many;
      Report(peer, "that user, or all but root together, have as many as they may have");
    } else {
      Debug([&] {
        return absl::StrCat("connection of user ", peer.uid, ", process ", peer.pid, " taken in");
      });
    }
  }
  return absl::OkStatus();
}

bool Listener::Allowed(const ucred& peer, int connection) const {
  if (Contains(policy_.uids, peer.uid)) return true;
  if (policy_.gids.empty()) return false;
  if (Contains(policy_.gids, peer.gid)) return true;
  const std::vector<gid_t> groups = PeerGroups(connection);
  return std::any_of(groups.begin(), groups.end(),
                     [this](gid_t group) { return Contains(policy_.gids, group); });
}

void Listener::Report(const ucred& peer, absl::string_view why) {
  const auto now = Clock::now();
  if (now < next_report_) {
    ++unreported_;
    return;
  }
  const std::string others =
      unreported_ == 0 ? "" : absl::StrCat(" (and ", unreported_, " more before)");
  log_.Warning(EventName::kPeerRefused, absl::StrCat("refused a connection of user ", peer.uid,
                                                     ", process ", peer.pid, others, ": ", why));
  next_report_ = now + kReportInterval;
  unreported_ = 0;
}

}  // namespace okms
