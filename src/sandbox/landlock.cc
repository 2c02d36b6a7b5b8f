// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The kernel's interface is spelt out here (linux/landlock.h): the header of the machine that
// builds may be older than the kernel of the one that runs.

#include "sandbox/landlock.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <set>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace okms::sandbox {
namespace {

namespace fs = std::filesystem;

// Rights on files, by the bit's number, and the first ABI that has them.
constexpr uint64_t kFilesAbi1 = (1U << 13U) - 1;  // execute, write, read, list, remove and make
constexpr uint64_t kReadFile = 1U << 2U;
constexpr uint64_t kRefer = 1U << 13U;     // ABI 2
constexpr uint64_t kTruncate = 1U << 14U;  // ABI 3
constexpr uint64_t kIoctlDev = 1U << 15U;  // ABI 5
// Rights on the network: ABI 4.
constexpr uint64_t kBindTcp = 1U << 0U;
constexpr uint64_t kConnectTcp = 1U << 1U;
// Scopes: ABI 6.
constexpr uint64_t kAbstractSockets = 1U << 0U;
constexpr uint64_t kSignals = 1U << 1U;

constexpr unsigned kCreateRulesetVersion = 1U << 0U;
constexpr int kRulePathBeneath = 1;
constexpr int kRuleNetPort = 2;

// An older kernel takes the longer structure, as long as what it does not know is zero.
struct RulesetAttr {
  uint64_t handled_access_fs;
  uint64_t handled_access_net;
  uint64_t scoped;
};
struct [[gnu::packed]] PathBeneathAttr {
  uint64_t allowed_access;
  int32_t parent_fd;
};
struct NetPortAttr {
  uint64_t allowed_access;
  uint64_t port;
};

absl::Status Failed(absl::string_view what) {
  return ErrnoStatus(absl::StatusCode::kFailedPrecondition,
                     absl::StrCat("sandbox: Landlock: ", what), errno);
}

absl::StatusOr<int> KernelAbi() {
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, kCreateRulesetVersion);
  if (abi > 0) return static_cast<int>(abi);
  // Not built in, or not switched on at boot.
  if (errno == ENOSYS || errno == EOPNOTSUPP) return 0;
  return Failed("version");
}

RulesetAttr Handled(int abi) {
  RulesetAttr attr{kFilesAbi1, 0, 0};
  if (abi >= 2) attr.handled_access_fs |= kRefer;
  if (abi >= 3) attr.handled_access_fs |= kTruncate;
  if (abi >= 4) attr.handled_access_net = kBindTcp | kConnectTcp;
  if (abi >= 5) attr.handled_access_fs |= kIoctlDev;
  if (abi >= 6) attr.scoped = kSignals | kAbstractSockets;
  return attr;
}

// The directory itself, or the nearest one above it that is there: at boot, the one that a name
// server's files go to may be yet to come.
fs::path Existing(fs::path directory) {
  std::error_code error;
  while (!fs::is_directory(directory, error) && directory.has_relative_path()) {
    directory = directory.parent_path();
  }
  return fs::canonical(directory, error);
}

// Where the file is now and where it can come to be: see Reach::files.
void AddPlaces(const fs::path& file, std::set<fs::path>& places) {
  std::error_code error;
  if (fs::is_character_file(file, error)) {
    places.insert(fs::canonical(file, error));
    return;
  }
  fs::path name = file;
  for (int links = 0; links < 16; ++links) {
    fs::path place = Existing(name.parent_path());
    // On NixOS, files of /etc lead to the store, whose paths change with each generation of the
    // system. All of it is readable by all, by design.
    if (absl::StartsWith(place.string(), "/nix/store/")) place = "/nix/store";
    // A link from the top of the file system grants nothing: that would be all of it.
    if (place.has_relative_path()) places.insert(place);
    const fs::path target = fs::read_symlink(name, error);
    if (error) return;
    name = target.is_absolute() ? target : name.parent_path() / target;
  }
}

absl::Status AllowReading(int ruleset, const fs::path& place) {
  const UniqueFd fd(::open(place.c_str(), O_PATH | O_CLOEXEC));
  if (!fd) return Failed(place.string());
  const PathBeneathAttr rule{kReadFile, fd.get()};
  if (::syscall(SYS_landlock_add_rule, ruleset, kRulePathBeneath, &rule, 0) == 0) {
    return absl::OkStatus();
  }
  return Failed(place.string());
}

absl::Status AllowPort(int ruleset, uint16_t port) {
  const NetPortAttr rule{kConnectTcp, port};
  if (::syscall(SYS_landlock_add_rule, ruleset, kRuleNetPort, &rule, 0) == 0) {
    return absl::OkStatus();
  }
  return Failed(absl::StrCat("TCP port ", port));
}

}  // namespace

absl::StatusOr<int> RestrictReach(const Reach& reach) {
  OKMS_ASSIGN_OR_RETURN(const int abi, KernelAbi());
  if (abi == 0) return 0;
  const RulesetAttr attr = Handled(abi);
  const UniqueFd ruleset(
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0)));
  if (!ruleset) return Failed("rule set");

  std::set<fs::path> places;
  for (const std::string& file : reach.files) AddPlaces(file, places);
  for (const std::string& file : reach.own_files) {
    std::error_code error;
    if (fs::exists(file, error)) AddPlaces(file, places);
  }
  for (const fs::path& place : places) {
    OKMS_RETURN_IF_ERROR(AllowReading(ruleset.get(), place));
  }
  if (attr.handled_access_net != 0) {
    for (const uint16_t port : reach.tcp_ports) {
      OKMS_RETURN_IF_ERROR(AllowPort(ruleset.get(), port));
    }
  }
  if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) return Failed("restrict");
  // Nothing may be listed, ever.
  if (UniqueFd(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) || errno != EACCES) {
    return absl::FailedPreconditionError("sandbox: Landlock: the rules are not in force");
  }
  return abi;
}

std::string DescribeLandlock(int abi) {
  if (abi == 0) return "no Landlock in this kernel: it restricts neither files nor ports";
  return absl::StrCat("Landlock ABI ", abi);
}

}  // namespace okms::sandbox
