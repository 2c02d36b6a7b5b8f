// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "doctor/socket_checks.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "client/unix_connection.h"
#include "doctor/as_user.h"
#include "doctor/kms_status.h"

namespace okms::doctor {
namespace {

constexpr std::chrono::seconds kPatience{3};  // kube-apiserver's
constexpr std::chrono::seconds kNow{0};

std::string FileOfVariables(const Examination& all) {
  return all.found.file.empty() ? "ENVIRONMENT-FILE" : all.found.file;
}

std::string GroupName(gid_t gid) {
  const group* const entry = ::getgrgid(gid);
  return entry != nullptr ? entry->gr_name : absl::StrCat(gid);
}

// What would let that user reach the socket.
std::string LetIn(const Examination& all, const User& user) {
  const std::string& path = all.socket().path;
  if (const std::string folder = ClosedFolder(user, path); !folder.empty()) {
    return absl::StrCat("chmod o+x ", folder);
  }
  struct stat info {};
  // Nobody is to be made a member of root's.
  if (::stat(path.c_str(), &info) == 0 && info.st_gid != 0 &&
      ::getpwnam(user.name.c_str()) != nullptr) {
    return absl::StrCat("usermod -aG ", GroupName(info.st_gid), " ", user.name);
  }
  return absl::StrCat("echo OKMS_SOCK_GROUP=", GroupName(user.gid), " >> ", FileOfVariables(all));
}

Verdicts NotTaken(const Examination& all, const std::string& who) {
  return Failed(absl::StrCat(who,
                             " is not let in: as many wait already as may, and the plugin takes "
                             "nobody"),
                all.LogCommand());
}

// What Status answered to whoever that is.
Verdicts Judge(const Examination& all, const std::string& who,
               const absl::StatusOr<KmsStatus>& status) {
  if (!status.ok()) {
    return Failed(absl::StrCat(who, " connects, and has no answer: ", Message(status.status())),
                  all.LogCommand());
  }
  if (const absl::Status verdict = status->Verdict(); !verdict.ok()) {
    return Failed(absl::StrCat(who, " is told that the plugin is not ready: ",
                               Printable(Message(verdict), 400)),
                  all.StatusCommand());
  }
  return Passed(
      absl::StrCat(who, " is told that the plugin is ready, with key ", Printable(status->key_id)));
}

}  // namespace

Verdicts CheckSocket(Examination& all) {
  const std::string name = all.socket().ToString();
  const std::string& path = all.socket().path;
  struct stat info {};
  if (!path.empty() && ::lstat(path.c_str(), &info) != 0) {
    const int error = errno;
    const absl::Status status = ErrnoStatus(absl::StatusCode::kUnavailable, name, error);
    const std::string line(status.message());
    if (error == EACCES) return Unknown(line, all.AsRoot());
    // Before the first start there is none, and nothing is wrong with that.
    const bool should_be = all.found.runs || !all.request.as_user.empty();
    return should_be ? Failed(line, all.StartCommand())
                     : Unknown(absl::StrCat(line, "; the plugin does not run"), all.StartCommand());
  }
  if (!path.empty() && !S_ISSOCK(info.st_mode)) {
    return Failed(absl::StrCat(name, ": is no socket"), absl::StrCat("rm -r ", path));
  }
  if (!all.found.unit.empty() && !all.found.runs) {
    return Unknown(absl::StrCat(name, ": systemd listens; to ask would start the plugin"),
                   all.StartCommand());
  }
  const absl::StatusOr<UniqueFd> connection = client::ConnectUnix(name, kNow);
  if (connection.ok()) return Passed(absl::StrCat(name, ": somebody listens"));
  if (absl::IsResourceExhausted(connection.status())) {
    return Passed(absl::StrCat(name, ": somebody listens, and ", connection.status().message()));
  }
  if (absl::IsPermissionDenied(connection.status())) {
    return Passed(absl::StrCat(name, ": is a socket; whether somebody listens, user ", ::geteuid(),
                               " may not try"));
  }
  const std::string line = absl::StrCat(name, ": nobody listens: ", connection.status().message());
  return path.empty() && !all.found.runs ? Unknown(line, all.StartCommand())
                                         : Failed(line, all.StartCommand());
}

Verdicts CheckAccess(Examination& all) {
  const std::string& path = all.socket().path;
  if (path.empty()) {
    return Passed(
        "all users of this network namespace can connect; the plugin lets in whom "
        "--allow-uid and --allow-gid name");
  }
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    return Unknown(std::string(ErrnoStatus(absl::StatusCode::kUnknown, path, errno).message()), "");
  }
  const std::string mode = absl::StrFormat("%04o", info.st_mode & 07777U);
  if ((info.st_mode & S_IWOTH) != 0) {
    return Warning(absl::StrCat(path, ": has mode ", mode,
                                ", so every user can connect, and the plugin alone decides"),
                   absl::StrCat("chmod 660 ", path));
  }
  const std::string group = GroupName(info.st_gid);
  const auto& allowed = all.config->allowed_gids;
  const bool by_group = (info.st_mode & S_IWGRP) != 0 && info.st_gid != 0;
  if (by_group && std::count(allowed.begin(), allowed.end(), info.st_gid) == 0) {
    return Passed(absl::StrCat(path, ": has mode ", mode, ": its owner ", info.st_uid,
                               " can connect, and members of group ", group,
                               ", whom the plugin turns away unless --allow-uid or --allow-gid "
                               "names them"));
  }
  return Passed(absl::StrCat(path, ": has mode ", mode, ": its owner ", info.st_uid,
                             by_group ? absl::StrCat(" and members of group ", group) : "",
                             " can connect"));
}

Verdicts CheckOwnStatus(Examination& all) {
  const uid_t uid = ::geteuid();
  const std::string who = absl::StrCat("user ", uid, ", who asks this,");
  absl::StatusOr<UniqueFd> connection = client::ConnectUnix(all.socket().ToString(), kPatience);
  if (absl::IsResourceExhausted(connection.status())) return NotTaken(all, who);
  if (!connection.ok()) {
    return Unknown(absl::StrCat(who, " may not connect: ", connection.status().message()),
                   all.AsRoot());
  }
  const auto& allowed = all.config->allowed_uids;
  const auto status = AskStatus(*std::move(connection), Clock::now() + kPatience);
  // To be turned away oneself says nothing of kube-apiserver.
  if (absl::IsPermissionDenied(status.status()) && uid != 0 &&
      std::count(allowed.begin(), allowed.end(), uid) == 0) {
    return Unknown(absl::StrCat(who, " has no answer: ", Message(status.status())), all.AsRoot());
  }
  return Judge(all, who, status);
}

Verdicts CheckStatusAsUser(Examination& all) {
  const std::string& name = all.request.as_user;
  const absl::StatusOr<User> user = FindUser(name);
  if (!user.ok()) return Failed(std::string(user.status().message()), "getent passwd");
  const std::string who = absl::StrCat("user ", user->name);
  absl::StatusOr<UniqueFd> connection = ConnectAs(*user, all.socket().ToString());
  if (absl::IsPermissionDenied(connection.status())) {
    return Unknown(std::string(connection.status().message()), all.AsRoot());
  }
  if (absl::IsResourceExhausted(connection.status())) return NotTaken(all, who);
  if (!connection.ok()) {
    return Failed(absl::StrCat(who, " cannot connect to ", all.socket().ToString(), ": ",
                               connection.status().message()),
                  LetIn(all, *user));
  }
  return Judge(all, who, AskStatus(*std::move(connection), Clock::now() + kPatience));
}

}  // namespace okms::doctor
