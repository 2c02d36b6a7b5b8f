// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "sandbox/privileges.h"

#include <cap-ng.h>
#include <grp.h>
#include <pwd.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/status.h"
#include "sandbox/free_id.h"

namespace okms::sandbox {
namespace {

constexpr absl::string_view kStartAsUser = "; or start it as that user (User= in a unit)";

template <typename... Parts>
absl::Status Bad(const Parts&... parts) {
  return absl::FailedPreconditionError(absl::StrCat(parts...));
}

absl::Status Failed(absl::string_view what) {
  return ErrnoStatus(absl::StatusCode::kFailedPrecondition,
                     absl::StrCat("cannot drop root's rights: ", what), errno);
}

absl::StatusOr<Account> Find(const std::string& user) {
  const std::vector<std::string> numbers = absl::StrSplit(user, ':');
  Account account{};
  if (numbers.size() == 2 && absl::SimpleAtoi(numbers[0], &account.uid) &&
      absl::SimpleAtoi(numbers[1], &account.gid)) {
    return account;
  }
  uid_t uid = 0;
  const bool numeric = absl::SimpleAtoi(user, &uid);
  const passwd* entry = numeric ? ::getpwuid(uid) : ::getpwnam(user.c_str());
  if (entry != nullptr) return Account{entry->pw_uid, entry->pw_gid};
  if (numeric) {
    return Bad("--user ", Printable(user), ": no such user; name its group too, as ",
               Printable(user), ":GROUP");
  }
  return Bad("--user ", Printable(user),
             ": no such user, and the plugin does not stay root; create it (useradd --system ",
             Printable(user), "), or name another");
}

// A drop-in for a program that needs no user must not need one either. That the name service could
// not be asked is something else.
absl::StatusOr<Account> Default() {
  errno = 0;
  if (::getpwnam(kDefaultUser) != nullptr) return Find(kDefaultUser);
  if (errno != 0 && errno != ENOENT && errno != ESRCH) {
    return ErrnoStatus(absl::StatusCode::kFailedPrecondition,
                       absl::StrCat("cannot look up the user ", kDefaultUser), errno);
  }
  if (const std::optional<uid_t> id = FreeId()) return Account{*id, *id, /*borrowed=*/true};
  return Bad("no user ", kDefaultUser, ", and no free id; name another user with --user");
}

// Whom the process is to be: nobody else when it is not root.
absl::StatusOr<Account> Wanted(const std::string& user) {
  if (::geteuid() == 0) {
    OKMS_ASSIGN_OR_RETURN(const Account account, user.empty() ? Default() : Find(user));
    if (account.uid != 0 && account.gid != 0) return account;
    return Bad("--user ", Printable(user), ": is root; name an unprivileged user");
  }
  if (!user.empty()) {
    OKMS_ASSIGN_OR_RETURN(const Account account, Find(user));
    if (account.uid != ::geteuid()) {
      return Bad("--user ", Printable(user),
                 ": only root can become another user, and this is user ", ::geteuid(),
                 kStartAsUser);
    }
  }
  return Account{::geteuid(), ::getegid()};
}

absl::Status Become(const Account& account) {
  if (::setgroups(0, nullptr) != 0) return Failed("setgroups");
  if (::setresgid(account.gid, account.gid, account.gid) != 0) return Failed("setresgid");
  if (::setresuid(account.uid, account.uid, account.uid) != 0) return Failed("setresuid");
  return absl::OkStatus();
}

// What the kernel says now, rather than what we asked for.
absl::Status CheckAccount(const Account& account) {
  uid_t uid[3];
  gid_t gid[3];
  if (::getresuid(&uid[0], &uid[1], &uid[2]) != 0 || ::getresgid(&gid[0], &gid[1], &gid[2]) != 0) {
    return Failed("getresuid");
  }
  for (int i = 0; i < 3; ++i) {
    if (uid[i] != account.uid || gid[i] != account.gid)
      return Bad("the change of user had no effect");
  }
  if (::getgroups(0, nullptr) != 0) return Bad("supplementary groups are left");
  if (::setresuid(0, 0, 0) == 0) return Bad("the process can be root again");
  return absl::OkStatus();
}

// The bounding set is no right by itself, and only root may change it.
absl::StatusOr<bool> HasCapabilities(bool bounding_set_too) {
  if (capng_get_caps_process() != 0) return Bad("cannot read the capabilities");
  return capng_have_capabilities(CAPNG_SELECT_CAPS) != CAPNG_NONE ||
         capng_have_capabilities(CAPNG_SELECT_AMBIENT) != CAPNG_NONE ||
         (bounding_set_too && capng_have_capabilities(CAPNG_SELECT_BOUNDS) != CAPNG_NONE);
}

absl::Status ClearCapabilities(bool bounding_set_too) {
  // With none, as a unit starts it, there is nothing to ask of the kernel.
  OKMS_ASSIGN_OR_RETURN(const bool any, HasCapabilities(bounding_set_too));
  if (!any) return absl::OkStatus();
  capng_clear(CAPNG_SELECT_ALL);
  if (capng_apply(bounding_set_too ? CAPNG_SELECT_ALL : CAPNG_SELECT_CAPS) != 0 ||
      capng_apply(CAPNG_SELECT_AMBIENT) != 0) {
    return Bad("cannot give up capabilities");
  }
  OKMS_ASSIGN_OR_RETURN(const bool left, HasCapabilities(bounding_set_too));
  return left ? Bad("capabilities are left") : absl::OkStatus();
}

}  // namespace

absl::Status CheckUser(const std::string& user) { return Wanted(user).status(); }

std::string Account::Advice() const {
  return absl::StrCat("there is no user ", kDefaultUser, ": running as the free id ", uid,
                      "; create that user, or name one with --user");
}

absl::StatusOr<Account> DropPrivileges(const std::string& user) {
  OKMS_ASSIGN_OR_RETURN(const Account account, Wanted(user));
  if (::geteuid() != 0) {
    OKMS_RETURN_IF_ERROR(ClearCapabilities(/*bounding_set_too=*/false));
    return account;
  }
  // No program that is run later can make root's number mean root's rights again.
  if (capng_lock() != 0) {
    return Bad("cannot lock the capabilities: CAP_SETPCAP is missing", kStartAsUser);
  }
  OKMS_RETURN_IF_ERROR(Become(account));
  OKMS_RETURN_IF_ERROR(ClearCapabilities(/*bounding_set_too=*/true));
  OKMS_RETURN_IF_ERROR(CheckAccount(account));
  return account;
}

}  // namespace okms::sandbox
