// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "service/listen_socket.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/deadline.h"
#include "base/status.h"
#include "base/unix_address.h"

namespace okms {
namespace {

constexpr char kSystemdName[] = "kms";
constexpr mode_t kSocketMode = 0660;
constexpr std::chrono::seconds kLockPatience{3};
constexpr std::chrono::milliseconds kLockPause{5};

absl::StatusOr<UniqueFd> NewSocket() {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return ErrnoStatus(absl::StatusCode::kFailedPrecondition, "--sock: socket", errno);
  return fd;
}

std::string FolderOf(const std::string& path) { return path.substr(0, path.rfind('/') + 1); }

// Keeps others who start at the same time from the folder of `path`, until its end. Between our
// look at a dead socket and its removal, another one could have replaced it by a live one. A lock
// of the folder itself leaves no file behind. The start waits a moment at most for whoever has it:
// nobody keeps it longer than a few system calls.
absl::StatusOr<UniqueFd> LockFolder(const std::string& path) {
  const std::string folder = FolderOf(path);
  UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fd;  // bind(2) says what is wrong with it, if anything is
  const Deadline deadline = Clock::now() + kLockPatience;
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK && !Expired(deadline)) {
      std::this_thread::sleep_for(kLockPause);
      continue;
    }
    return ErrnoStatus(absl::StatusCode::kFailedPrecondition,
                       absl::StrCat("--sock ", path, ": another process keeps a lock on ", folder),
                       errno);
  }
  return fd;
}

absl::Status Refuse(const SocketAddress& address, absl::string_view why) {
  return absl::FailedPreconditionError(absl::StrCat("--sock ", address.ToString(), ": ", why));
}

// What stands in the way of a file at that path, by the error that says so.
absl::Status NoPlace(const SocketAddress& address, absl::string_view what, int error) {
  const std::string folder = FolderOf(address.path);
  switch (error) {
    case ENOENT:
      return Refuse(address, absl::StrCat("there is no folder ", folder,
                                          "; create it, or choose another path"));
    case ENOTDIR:
      return Refuse(address, absl::StrCat(folder, " is no folder; choose another path"));
    case EACCES:
    case EPERM:
      return Refuse(address, absl::StrCat("user ", ::geteuid(), " may not create files in ", folder,
                                          "; start it as root, or choose another path"));
    case EROFS: return Refuse(address, absl::StrCat(folder, " is read-only; choose another path"));
    default:
      return ErrnoStatus(absl::StatusCode::kFailedPrecondition,
                         absl::StrCat("--sock ", address.ToString(), ": ", what), error);
  }
}

enum class There { kNothing, kDeadSocket, kLiveSocket };

// What is at the path; all else than these is refused.
absl::StatusOr<There> LookAt(const SocketAddress& address) {
  struct stat info {};
  if (::lstat(address.path.c_str(), &info) != 0) {
    if (errno == ENOENT) return There::kNothing;
    return NoPlace(address, "look", errno);
  }
  if (S_ISLNK(info.st_mode)) return Refuse(address, "is a symbolic link; name the socket itself");
  if (S_ISDIR(info.st_mode)) {
    return Refuse(address, "is a folder; name the socket in it, as in /run/kms.sock");
  }
  if (!S_ISSOCK(info.st_mode)) {
    return Refuse(address, "is there already and is no socket; remove it");
  }
  OKMS_ASSIGN_OR_RETURN(const UniqueFd probe, NewSocket());
  const UnixAddress target = UnixAddress::Of(address.ToString()).value();
  if (::connect(probe.get(), target.get(), target.size()) == 0 || errno == EAGAIN) {
    return There::kLiveSocket;
  }
  if (errno == ECONNREFUSED || errno == ENOENT) return There::kDeadSocket;
  return ErrnoStatus(
      absl::StatusCode::kFailedPrecondition,
      absl::StrCat("--sock ", address.path, ": cannot tell whether the socket there is in use"),
      errno);
}

// Removes a socket file that nobody listens on; refuses all else that is there.
absl::Status ClearPath(const SocketAddress& address) {
  OKMS_ASSIGN_OR_RETURN(const There there, LookAt(address));
  if (there == There::kNothing) return absl::OkStatus();
  if (there == There::kLiveSocket) {
    return Refuse(address, "another process listens there; stop it, or choose another path");
  }
  if (::unlink(address.path.c_str()) != 0 && errno != ENOENT) {
    return ErrnoStatus(absl::StatusCode::kFailedPrecondition,
                       absl::StrCat("--sock ", address.path, ": cannot remove the dead socket"),
                       errno);
  }
  return absl::OkStatus();
}

absl::Status NoGroup(const SocketGroup& group, int error) {
  return Annotate(ErrnoStatus(absl::StatusCode::kFailedPrecondition,
                              "only root, or one of its members, can give it the socket", error),
                  absl::StrCat("--sock-group ", Printable(group.name)));
}

bool IsMember(gid_t group) {
  std::vector<gid_t> groups(65536);  // the kernel's limit
  const int count = ::getgroups(static_cast<int>(groups.size()), groups.data());
  groups.resize(static_cast<std::size_t>(std::max(count, 0)));
  return group == ::getegid() || std::find(groups.begin(), groups.end(), group) != groups.end();
}

}  // namespace

std::string ListenSocket::path() const {
  sockaddr_un address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd(), reinterpret_cast<sockaddr*>(&address), &size) != 0) return "";
  const std::size_t most =
      std::min<std::size_t>(size, sizeof address) - offsetof(sockaddr_un, sun_path);
  return {address.sun_path, ::strnlen(address.sun_path, most)};
}

absl::StatusOr<std::optional<ListenSocket>> ListenSocket::FromSystemd() {
  char** names = nullptr;
  const int count = ::sd_listen_fds_with_names(/*unset_environment=*/1, &names);
  std::vector<std::string> found;  // parallel to the descriptors
  for (char** name = names; name != nullptr && *name != nullptr; ++name) {
    found.emplace_back(*name);
    std::free(*name);
  }
  std::free(names);
  if (count < 0) {
    return ErrnoStatus(absl::StatusCode::kFailedPrecondition, "LISTEN_FDS", -count);
  }
  if (count == 0) return std::nullopt;

  const auto refuse = [](absl::string_view why) {
    return absl::FailedPreconditionError(absl::StrCat("socket activation: ", why));
  };
  UniqueFd fd;
  for (int i = 0; i < count; ++i) {
    UniqueFd passed(SD_LISTEN_FDS_START + i);
    if (static_cast<std::size_t>(i) >= found.size() ||
        found[static_cast<std::size_t>(i)] != kSystemdName) {
      continue;
    }
    if (fd) return refuse("more than one socket is named \"kms\"; pass one");
    fd = std::move(passed);
  }
  if (!fd) return refuse("no socket is named \"kms\"; set FileDescriptorName=kms");
  if (::sd_is_socket(fd.get(), AF_UNIX, SOCK_STREAM, /*listening=*/1) <= 0) {
    return refuse("the socket \"kms\" is no listening unix stream socket; use ListenStream=");
  }
  // systemd passes it blocking unless NonBlocking= is set; accepting must never block the loop.
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return ErrnoStatus(absl::StatusCode::kFailedPrecondition, "socket activation: fcntl", errno);
  }
  return ListenSocket(std::move(fd), "the socket passed by systemd", /*from_systemd=*/true);
}

absl::StatusOr<ListenSocket> ListenSocket::Bind(const SocketAddress& address,
                                                const std::optional<SocketGroup>& group) {
  const std::string context = absl::StrCat("--sock ", address.ToString());
  UniqueFd lock;  // until we listen
  if (!address.path.empty()) {
    OKMS_ASSIGN_OR_RETURN(lock, LockFolder(address.path));
    OKMS_RETURN_IF_ERROR(ClearPath(address));
  }
  OKMS_ASSIGN_OR_RETURN(UniqueFd fd, NewSocket());
  const UnixAddress target = UnixAddress::Of(address.ToString()).value();

  // The file has its final mode from birth. Until listen(2), nobody can connect to it.
  const mode_t old_mask = ::umask(static_cast<mode_t>(~kSocketMode & 0777));
  const int bound = ::bind(fd.get(), target.get(), target.size());
  const int bind_error = errno;
  ::umask(old_mask);
  if (bound != 0) return NoPlace(address, "bind", bind_error);
  ListenSocket socket(std::move(fd), address.ToString(), /*from_systemd=*/false);
  if (!address.path.empty() && group &&
      ::lchown(address.path.c_str(), static_cast<uid_t>(-1), group->id) != 0) {
    const int error = errno;
    ::unlink(address.path.c_str());  // not yet listened on: nobody's loss
    return NoGroup(*group, error);
  }
  if (::listen(socket.fd(), SOMAXCONN) != 0) {
    return ErrnoStatus(absl::StatusCode::kFailedPrecondition, absl::StrCat(context, ": listen"),
                       errno);
  }
  return socket;
}

absl::StatusOr<std::string> ListenSocket::Check(const SocketAddress& address,
                                                const std::optional<SocketGroup>& group) {
  const bool root = ::geteuid() == 0;
  if (group && !root && !IsMember(group->id)) return NoGroup(*group, EPERM);
  if (address.path.empty()) return "free";
  OKMS_ASSIGN_OR_RETURN(const There there, LookAt(address));
  if (there == There::kLiveSocket) return "in use";
  const std::string folder = FolderOf(address.path);
  if (::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) != 0) {
    return NoPlace(address, "folder", errno);
  }
  return "free";
}

}  // namespace okms
