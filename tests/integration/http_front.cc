// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "integration/http_front.h"

#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "integration/wait.h"

namespace okms::test {
namespace {

// Debian has it outside a user's PATH.
std::string Program() {
  const char* const path = std::getenv("PATH");
  const std::vector<std::string> folders =
      absl::StrSplit(absl::StrCat(path == nullptr ? "" : path, ":/usr/sbin"), ':');
  for (const std::string& folder : folders) {
    std::string candidate = absl::StrCat(folder, "/nginx");
    if (!folder.empty() && ::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return "";
}

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// nginx wants to be told its port. Below the range of outgoing connections, so that none of those
// takes it meanwhile; another test may, which the caller notices.
uint16_t RandomPort() {
  std::random_device random;
  return static_cast<uint16_t>(std::uniform_int_distribution<int>(15000, 32000)(random));
}

bool Accepts(uint16_t port) {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = Loopback(port);
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

absl::Status WriteConfig(const std::string& path, uint16_t port, const HttpFrontOptions& options) {
  std::ostringstream text;
  text << std::ifstream(OKMS_HTTP_FRONT_TEMPLATE).rdbuf();
  std::ofstream(path) << absl::StrReplaceAll(
      text.str(), {{"@PORT@", absl::StrCat(port)},
                   {"@UPSTREAM_PORT@", absl::StrCat(options.upstream_port)},
                   {"@HTTP2@", options.http2 ? " http2" : ""},
                   {"@CERTIFICATE@", options.server.certificate},
                   {"@KEY@", options.server.key},
                   {"@CLIENT_CERTIFICATE@", options.client.certificate},
                   {"@CLIENT_KEY@", options.client.key},
                   {"@CA@", options.ca}});
  return text.str().empty() ? absl::InternalError("no template of nginx's configuration")
                            : absl::OkStatus();
}

}  // namespace

bool HttpFront::Available() { return !Program().empty(); }

absl::StatusOr<std::unique_ptr<HttpFront>> HttpFront::Start(const HttpFrontOptions& options) {
  const std::string program = Program();
  if (program.empty()) return absl::NotFoundError("no nginx");
  std::string log;
  for (int attempt = 0; attempt < 10; ++attempt) {
    const uint16_t port = RandomPort();
    if (Accepts(port)) continue;
    auto folder = std::make_unique<TempDir>();
    const std::string config = *folder / "nginx.conf";
    OKMS_RETURN_IF_ERROR(WriteConfig(config, port, options));
    OKMS_ASSIGN_OR_RETURN(std::unique_ptr<ChildProcess> nginx,
                          ChildProcess::Start({.argv = {program, "-p", folder->path(), "-c", config,
                                                        "-e", "stderr"}}));
    const auto ended = [&] { return !nginx->Running(); };
    if (WaitUntil([&] { return ended() || Accepts(port); }) && !ended()) {
      return std::unique_ptr<HttpFront>(new HttpFront(std::move(folder), std::move(nginx), port));
    }
    log = nginx->Err();
    // Somebody else was faster with this port. Anything else would happen again.
    if (!absl::StrContains(log, "Address already in use")) break;
  }
  return absl::UnavailableError(absl::StrCat("nginx does not start: ", log));
}

std::string HttpFront::url() const { return absl::StrCat("https://127.0.0.1:", port_); }

void HttpFront::Pause() const { nginx_->Signal(SIGSTOP); }
void HttpFront::Resume() const { nginx_->Signal(SIGCONT); }

}  // namespace okms::test
