// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The child makes no call but of the kernel: other threads of the parent may have held any lock.

#include "doctor/as_user.h"

#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/read_file.h"
#include "base/status.h"
#include "base/unix_address.h"

namespace okms::doctor {
namespace {

// The error number, 0 for none, and a descriptor beside it.
void Send(int to, int error, int fd) {
  iovec data{&error, sizeof error};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (fd >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  ::sendmsg(to, &message, MSG_NOSIGNAL);
}

struct Outcome {
  int error = 0;
  UniqueFd fd;
};

std::optional<Outcome> Receive(int from) {
  Outcome outcome;
  iovec data{&outcome.error, sizeof outcome.error};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  if (::recvmsg(from, &message, MSG_CMSG_CLOEXEC) != sizeof outcome.error) return std::nullopt;
  if (const cmsghdr* const header = CMSG_FIRSTHDR(&message)) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    outcome.fd.reset(fd);
  }
  return outcome;
}

// `task` gives a descriptor, which comes to us, or an error number as a negative one.
absl::StatusOr<Outcome> RunAs(const User& user, absl::FunctionRef<int()> task) {
  if (::geteuid() != 0) {
    return absl::PermissionDeniedError(
        absl::StrCat("only root can do something as user ", user.name));
  }
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return ErrnoStatus(absl::StatusCode::kUnavailable, "socketpair", errno);
  }
  const UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return ErrnoStatus(absl::StatusCode::kUnavailable, "fork", errno);
  if (child == 0) {
    if (::setgroups(user.groups.size(), user.groups.data()) != 0 ||
        ::setresgid(user.gid, user.gid, user.gid) != 0 ||
        ::setresuid(user.uid, user.uid, user.uid) != 0) {
      Send(theirs.get(), errno, -1);
    } else {
      const int result = task();
      Send(theirs.get(), result < 0 ? -result : 0, result < 0 ? -1 : result);
    }
    ::_exit(0);
  }
  theirs.reset();
  std::optional<Outcome> outcome = Receive(ours.get());
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (!outcome) return absl::UnavailableError("the process of that user ended without a word");
  return *std::move(outcome);
}

}  // namespace

absl::StatusOr<User> FindUser(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  uid_t uid = 0;
  const bool is_number = absl::SimpleAtoi(parts[0], &uid);
  const passwd* const entry = is_number ? ::getpwuid(uid) : ::getpwnam(parts[0].c_str());
  if (parts.size() == 2) {
    gid_t gid = 0;
    if (is_number && absl::SimpleAtoi(parts[1], &gid)) return User{text, uid, gid, {gid}};
  } else if (parts.size() == 1 && entry != nullptr) {
    User user{entry->pw_name, entry->pw_uid, entry->pw_gid, std::vector<gid_t>(65536)};
    int count = static_cast<int>(user.groups.size());
    if (::getgrouplist(entry->pw_name, entry->pw_gid, user.groups.data(), &count) >= 0) {
      user.groups.resize(static_cast<std::size_t>(count));
      return user;
    }
  }
  return absl::NotFoundError(absl::StrCat(
      "user ", Printable(text), " is unknown here; give a name, or UID:GID for who has no entry"));
}

std::string ClosedFolder(const User& user, const std::string& path) {
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    const std::string folder = path.substr(0, slash);
    struct stat info {};
    if (::stat(folder.c_str(), &info) != 0) return "";
    const bool member =
        std::find(user.groups.begin(), user.groups.end(), info.st_gid) != user.groups.end();
    const mode_t bit = info.st_uid == user.uid ? S_IXUSR : member ? S_IXGRP : S_IXOTH;
    if ((info.st_mode & bit) == 0) return folder;
  }
  return "";
}

absl::StatusOr<UniqueFd> ConnectAs(const User& user, absl::string_view socket) {
  const std::optional<UnixAddress> address = UnixAddress::Of(socket);
  if (!address) return absl::UnavailableError("the path is too long for a socket");
  OKMS_ASSIGN_OR_RETURN(Outcome outcome, RunAs(user, [&] {
                          const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
                          const bool connected =
                              fd >= 0 && ::connect(fd, address->get(), address->size()) == 0;
                          return connected ? fd : -errno;
                        }));
  if (outcome.error != 0) {
    const bool full = outcome.error == EAGAIN;
    return ErrnoStatus(full ? absl::StatusCode::kResourceExhausted : absl::StatusCode::kUnavailable,
                       "connect", outcome.error);
  }
  return std::move(outcome.fd);
}

absl::Status CanRead(const User& user, const std::string& path) {
  OKMS_ASSIGN_OR_RETURN(const Outcome outcome, RunAs(user, [&] {
                          UniqueFd fd = OpenToRead(path);
                          return fd ? fd.release() : -errno;
                        }));
  if (outcome.error == 0) return absl::OkStatus();
  return ErrnoStatus(absl::StatusCode::kUnavailable, "open", outcome.error);
}

}  // namespace okms::doctor
