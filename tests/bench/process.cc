// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "bench/process.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/unix_address.h"

namespace okms::test {

using std::chrono::microseconds;

namespace {

std::string Contents(const std::string& path) {
  std::ifstream file(path);
  return std::string((std::istreambuf_iterator<char>(file)), {});
}

// What follows the name in a stat file of proc(5), which may have anything in it: the state first.
// Empty when the process or thread has gone.
std::string AfterName(const std::string& stat_file) {
  const std::string text = Contents(stat_file);
  const std::size_t end = text.rfind(") ");
  return end == std::string::npos ? "" : text.substr(end + 2);
}

// The kernel stops thread after thread.
bool HasStopped(pid_t pid) {
  std::error_code ignored;
  for (const auto& thread :
       std::filesystem::directory_iterator(absl::StrCat("/proc/", pid, "/task"), ignored)) {
    const std::string fields = AfterName(thread.path() / "stat");
    if (!fields.empty() && fields[0] != 'T') return false;
  }
  return true;
}

}  // namespace

UniqueFd Connect(const std::string& socket) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const std::optional<UnixAddress> address = UnixAddress::Of(socket);
  if (!address || ::connect(fd.get(), address->get(), address->size()) != 0) return {};
  return fd;
}

pid_t ServerOf(const std::string& socket) {
  const UniqueFd fd = Connect(socket);
  ucred peer{};
  socklen_t size = sizeof peer;
  if (!fd || ::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    throw std::runtime_error(absl::StrCat("nobody listens on ", socket));
  }
  return peer.pid;
}

microseconds CpuTime(pid_t pid) {
  std::istringstream fields(AfterName(absl::StrCat("/proc/", pid, "/stat")));
  std::string skipped;
  for (int i = 3; i < 14; ++i) fields >> skipped;
  long user = 0;
  long system = 0;
  fields >> user >> system;
  return microseconds((user + system) * 1'000'000 / ::sysconf(_SC_CLK_TCK));
}

nlohmann::json Memory(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/status"));
  nlohmann::json memory = nlohmann::json::object();
  std::string name;
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    long value = 0;
    fields >> name >> value;
    if (name == "VmRSS:") memory["resident_kb"] = value;
    if (name == "VmHWM:") memory["resident_peak_kb"] = value;
    if (name == "RssAnon:") memory["anonymous_kb"] = value;
    if (name == "Threads:") memory["threads"] = value;
  }
  return memory;
}

Stopped::Stopped(std::optional<pid_t> pid) : pid_(pid) {
  if (!pid_ || ::kill(*pid_, SIGSTOP) != 0) return;
  while (!HasStopped(*pid_)) std::this_thread::yield();
}

Stopped::~Stopped() {
  if (pid_) ::kill(*pid_, SIGCONT);
}

}  // namespace okms::test
