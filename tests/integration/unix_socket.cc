// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "integration/unix_socket.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/deadline.h"
#include "base/status.h"
#include "base/unix_address.h"
#include "integration/wait.h"

namespace okms::test {
namespace {

absl::Status Failed(absl::string_view what, const std::string& path) {
  return ErrnoStatus(absl::StatusCode::kInternal, absl::StrCat(what, " ", path), errno);
}

// Calls bind(2) or connect(2).
template <typename Call>
absl::StatusOr<UniqueFd> NewSocket(const std::string& path, int type, absl::string_view what,
                                   Call call) {
  const std::optional<UnixAddress> address = UnixAddress::Of(path);
  if (!address) return absl::InvalidArgumentError(path);
  UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  if (!fd || call(fd.get(), address->get(), address->size()) != 0) {
    return Failed(what, path);
  }
  return fd;
}

}  // namespace

absl::StatusOr<UniqueFd> BindUnix(const std::string& path, int type, bool listening) {
  OKMS_ASSIGN_OR_RETURN(UniqueFd fd, NewSocket(path, type, "bind", ::bind));
  if (type == SOCK_STREAM && listening && ::listen(fd.get(), SOMAXCONN) != 0) {
    return Failed("listen", path);
  }
  return fd;
}

absl::StatusOr<UniqueFd> ConnectUnix(const std::string& path) {
  return NewSocket(path, SOCK_STREAM, "connect", ::connect);
}

absl::StatusOr<UniqueFd> ConnectUnixAs(const std::string& path, uid_t uid, gid_t gid,
                                       std::vector<gid_t> groups) {
  absl::StatusOr<UniqueFd> result;
  // To the kernel, credentials belong to a thread; only the C library's own functions change those
  // of all threads. They end with this one.
  std::thread([&] {
    if (::syscall(SYS_setgroups, groups.size(), groups.data()) != 0 ||
        ::syscall(SYS_setresgid, gid, gid, gid) != 0 ||
        ::syscall(SYS_setresuid, uid, uid, uid) != 0) {
      result = Failed("change to user", absl::StrCat(uid));
      return;
    }
    result = ConnectUnix(path);
  }).join();
  return result;
}

Heard Exchange(int fd, const std::string& bytes,
               const std::function<bool(const std::string&)>& enough) {
  Heard heard;
  const Deadline deadline = Clock::now() + kPatience;
  std::size_t sent = 0;
  while (!heard.closed && !enough(heard.bytes)) {
    const bool sending = sent < bytes.size();
    pollfd entry{fd, static_cast<short>(sending ? POLLIN | POLLOUT : POLLIN), 0};
    if (::poll(&entry, 1, PollTimeout(deadline)) == 0) break;
    if (sending && (entry.revents & POLLOUT) != 0) {
      const ssize_t size =
          ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      // A peer that has closed is heard below.
      sent = size < 0 && errno != EAGAIN
                 ? bytes.size()
                 : sent + static_cast<std::size_t>(std::max<ssize_t>(size, 0));
    }
    if ((entry.revents & ~POLLOUT) == 0) continue;
    std::array<char, 4096> buffer{};
    const ssize_t size = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size > 0) {
      heard.bytes.append(buffer.data(), static_cast<std::size_t>(size));
    } else if (size == 0 || errno != EAGAIN) {
      heard.closed = true;
    }
  }
  return heard;
}

}  // namespace okms::test
