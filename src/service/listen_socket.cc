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

constexpr char kKmsName[] = "kms";  // FileDescriptorName= in their units
constexpr char kStatusName[] = "status";
constexpr mode_t kSocketMode = 0660;
constexpr std::chrono::seconds kLockPatience{3};
constexpr std::chrono::milliseconds kLockPause{5};

absl::StatusOr<UniqueFd> NewSocket(int family, absl::string_view flag) {
  UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) {
    return ErrnoStatus(absl::StatusCode::kFailedPrecondition, absl::StrCat(flag, ": socket"),
                       errno);
  }
  return fd;
}

// For a line: what is meant, and by which flag.
std::string Named(const SocketAddress& address) {
  return absl::StrCat(address.flag, " ", address.ToString());
}

std::string FolderOf(const std::string& path) { return path.substr(0, path.rfind('/') + 1); }

// Keeps others who start at the same time from the folder of `path`, until its end. Between our
// look at a dead socket and its removal, another one could have replaced it by a live one. A lock
// of the folder itself leaves no file behind. The start waits a moment at most for whoever has it:
// nobody keeps it longer than a few system calls.
absl::StatusOr<UniqueFd> LockFolder(const SocketAddress& address) {
  const std::string folder = FolderOf(address.path);
  UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fd;  // bind(2) says what is wrong with it, if anything is
  const Deadline deadline = Clock::now() + kLockPatience;
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK && !Expired(deadline)) {
      std::this_thread::sleep_for(kLockPause);
      continue;
    }
    return ErrnoStatus(absl::StatusCode::kFailedPrecondition,
                       absl::StrCat(Named(address), ": another process keeps a lock on ", folder),
                       errno);
  }
  return fd;
}

absl::Status Refuse(const SocketAddress& address, absl::string_view why) {
  return absl::FailedPreconditionError(absl::StrCat(Named(address), ": ", why));
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
                         absl::StrCat(Named(address), ": ", what), error);
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
  OKMS_ASSIGN_OR_RETURN(const UniqueFd probe, NewSocket(AF_UNIX, address.flag));
  const UnixAddress target = UnixAddress::Of(address.ToString()).value();
  if (::connect(probe.get(), target.get(), target.size()) == 0 || errno == EAGAIN) {
    return There::kLiveSocket;
  }
  if (errno == ECONNREFUSED || errno == ENOENT) return There::kDeadSocket;
  return ErrnoStatus(
      absl::StatusCode::kFailedPrecondition,
      absl::StrCat(Named(address), ": cannot tell whether the socket there is in use"), errno);
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
                       absl::StrCat(Named(address), ": cannot remove the dead socket"), errno);
  }
  return absl::OkStatus();
}

absl::Status NoGroup(const SocketGroup& group, int error) {
  return Annotate(ErrnoStatus(absl::StatusCode::kFailedPrecondition,
                              "only root, or one of its members, can give it the socket", error),
                  absl::StrCat("--sock-group ", Printable(group.name)));
}

absl::Status Unfit(absl::string_view why) {
  return absl::FailedPreconditionError(absl::StrCat("socket activation: ", why));
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

std::optional<Address> ListenSocket::tcp_address() const {
  Address address;
  address.size = sizeof address.storage;
  // A sockaddr is what the socket API calls a sockaddr_storage.
  auto* const storage = reinterpret_cast<sockaddr*>(&address.storage);
  if (::getsockname(fd(), storage, &address.size) != 0) return std::nullopt;
  const int family = address.storage.ss_family;
  if (family != AF_INET && family != AF_INET6) return std::nullopt;
  return address;
}

absl::StatusOr<PassedSockets> ListenSocket::FromSystemd() {
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
  found.resize(static_cast<std::size_t>(count));
  PassedFds fds;
  for (int i = 0; i < count; ++i) {
    fds.emplace_back(found[static_cast<std::size_t>(i)], UniqueFd(SD_LISTEN_FDS_START + i));
  }

  PassedSockets passed;
  if (absl::StatusOr<std::optional<ListenSocket>> status = Take(fds, kStatusName, AF_UNSPEC);
      status.ok()) {
    passed.status = *std::move(status);
  } else {
    passed.status_refused = status.status();
  }
  if (fds.empty()) return passed;
  OKMS_ASSIGN_OR_RETURN(passed.kms, Take(fds, kKmsName, AF_UNIX));
  if (!passed.kms) {
    return Unfit("no socket is named \"kms\"; set FileDescriptorName=kms");
  }
  return passed;
}

// The one of that name, out of `fds`; none when there is none.
absl::StatusOr<std::optional<ListenSocket>> ListenSocket::Take(PassedFds& fds,
                                                               absl::string_view name, int family) {
  const auto named = [&](const auto& passed) { return passed.first == name; };
  const auto passed = std::find_if(fds.begin(), fds.end(), named);
  if (passed == fds.end()) return std::nullopt;
  UniqueFd fd = std::move(passed->second);
  fds.erase(passed);
  if (std::erase_if(fds, named) > 0) {
    return Unfit(absl::StrCat("more than one socket is named \"", name, "\"; pass one"));
  }
  if (::sd_is_socket(fd.get(), family, SOCK_STREAM, /*listening=*/1) <= 0) {
    return Unfit(absl::StrCat("the socket \"", name, "\" is no listening ",
                              family == AF_UNIX ? "unix " : "",
                              "stream socket; use ListenStream="));
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
  UniqueFd lock;  // until we listen
  if (!address.path.empty()) {
    OKMS_ASSIGN_OR_RETURN(lock, LockFolder(address));
    OKMS_RETURN_IF_ERROR(ClearPath(address));
  }
  OKMS_ASSIGN_OR_RETURN(UniqueFd fd, NewSocket(AF_UNIX, address.flag));
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
    return ErrnoStatus(absl::StatusCode::kFailedPrecondition,
                       absl::StrCat(Named(address), ": listen"), errno);
  }
  return socket;
}

absl::StatusOr<ListenSocket> ListenSocket::BindTcp(const Address& address, absl::string_view name) {
  OKMS_ASSIGN_OR_RETURN(UniqueFd fd, NewSocket(address.storage.ss_family, name));
  // What is left of connections of a process before this one is nobody who listens.
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0 ||
      ::listen(fd.get(), SOMAXCONN) != 0) {
    return ErrnoStatus(absl::StatusCode::kFailedPrecondition, name, errno);
  }
  return ListenSocket(std::move(fd), std::string(name), /*from_systemd=*/false);
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
