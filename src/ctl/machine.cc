// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "ctl/machine.h"

#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <span>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/read_file.h"
#include "base/status.h"
#include "doctor/program.h"

namespace okms::ctl {
namespace {

constexpr std::size_t kMost = 16384;           // bytes of a small file
constexpr std::chrono::seconds kPatience{10};  // with a program
constexpr std::size_t kMostProcesses = 16;
constexpr std::size_t kLongestName = 15;  // of a process: proc(5), comm

// Of `text`, the lines that begin with one of `names`.
std::string Lines(absl::string_view text, std::span<const absl::string_view> names) {
  std::string result;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    for (const absl::string_view name : names) {
      if (absl::StartsWith(line, name)) absl::StrAppend(&result, line, "\n");
    }
  }
  return result;
}

// A small file without its last line's end; in its place, why it cannot be read.
std::string Small(const std::string& path) {
  const absl::StatusOr<std::string> text = FileText(path, kMost);
  return std::string(text.ok() ? absl::StripSuffix(*text, "\n") : text.status().message());
}

std::string LandlockText() {
#ifdef SYS_landlock_create_ruleset
  constexpr unsigned kVersion = 1;  // LANDLOCK_CREATE_RULESET_VERSION
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, kVersion);
  if (abi >= 0) return absl::StrCat(abi);
  return std::string(ErrnoStatus(absl::StatusCode::kUnavailable, "none", errno).message());
#else
  return "not known to this build";
#endif
}

}  // namespace

absl::StatusOr<std::string> FileText(const std::string& path, std::size_t most) {
  const UniqueFd file = OpenToRead(path);
  std::string text(most, '\0');
  const ssize_t size =
      file ? ReadInto(file.get(), {reinterpret_cast<uint8_t*>(text.data()), most}) : -1;
  if (size < 0) return ErrnoStatus(absl::StatusCode::kUnavailable, path, errno);
  text.resize(static_cast<std::size_t>(size));
  return text;
}

std::string OutputOf(const std::vector<std::string>& command, std::size_t most) {
  const auto ended = doctor::RunProgram(command, most, Clock::now() + kPatience);
  return ended.ok() ? ended->output : absl::StrCat(ended.status().message(), "\n");
}

std::string KernelText() {
  utsname name{};
  ::uname(&name);
  constexpr std::array<absl::string_view, 1> kPretty{"PRETTY_NAME="};
  return absl::StrCat("kernel: ", name.sysname, " ", name.release, " ", name.version, " ",
                      name.machine, "\n", Lines(Small("/etc/os-release"), kPretty),
                      "security modules: ", Small("/sys/kernel/security/lsm"), "\n",
                      "Landlock ABI: ", LandlockText(), "\n",
                      "seccomp: ", Small("/proc/sys/kernel/seccomp/actions_avail"), "\n");
}

std::vector<std::string> ProcessesNamed(absl::string_view name) {
  const absl::string_view comm = name.substr(0, kLongestName);
  std::vector<std::string> pids;
  std::error_code error;
  for (std::filesystem::directory_iterator entry("/proc", error), end; !error && entry != end;
       entry.increment(error)) {
    if (pids.size() == kMostProcesses) break;
    const std::string pid = entry->path().filename().string();
    if (absl::ascii_isdigit(static_cast<unsigned char>(pid[0])) &&
        Small(absl::StrCat("/proc/", pid, "/comm")) == comm) {
      pids.push_back(pid);
    }
  }
  return pids;
}

std::string ProcessText(const std::string& pid) {
  constexpr std::array<absl::string_view, 17> kFields{
      "Name:",   "State:",  "Uid:",        "Gid:",    "Groups:", "VmSize:",
      "VmRSS:",  "VmSwap:", "Threads:",    "CapInh:", "CapPrm:", "CapEff:",
      "CapBnd:", "CapAmb:", "NoNewPrivs:", "Seccomp", "FDSize:"};
  const std::string folder = absl::StrCat("/proc/", pid, "/");
  return absl::StrCat("command line: ",
                      absl::StrReplaceAll(Small(folder + "cmdline"), {{std::string(1, '\0'), " "}}),
                      "\n", Lines(Small(folder + "status"), kFields),
                      "control group: ", Small(folder + "cgroup"));
}

}  // namespace okms::ctl
