// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "support/dns_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cctype>
#include <cstdlib>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace okms::test {
namespace {

constexpr std::size_t kHeader = 12;  // bytes; RFC 1035 section 4.1.1
constexpr uint16_t kTypeA = 1;
constexpr uint16_t kTypeAaaa = 28;  // RFC 3596
constexpr uint8_t kServerFailure = 2;
constexpr uint8_t kNoSuchName = 3;
constexpr uint8_t kTruncated = 2;  // TC, in the third byte

void Append16(std::string& text, std::size_t value) {
  text.push_back(static_cast<char>(value >> 8 & 0xFF));
  text.push_back(static_cast<char>(value & 0xFF));
}

std::size_t Read16(const std::string& text, std::size_t at) {
  return std::size_t{static_cast<uint8_t>(text.at(at))} << 8 |
         static_cast<uint8_t>(text.at(at + 1));
}

// Both sockets have the same number, and a free one of TCP may be taken in UDP: tries a few.
UniqueFd Bound(int type, const std::string& address, uint16_t& port) {
  UniqueFd fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (type == SOCK_STREAM) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(port);
  ::inet_pton(AF_INET, address.c_str(), &in.sin_addr);
  socklen_t size = sizeof in;
  auto* generic = reinterpret_cast<sockaddr*>(&in);
  if (::bind(fd.get(), generic, size) != 0) return UniqueFd();
  ::getsockname(fd.get(), generic, &size);
  port = ntohs(in.sin_port);
  return fd;
}

}  // namespace

DnsServer::DnsServer(const std::string& address, uint16_t port) : address_(address) {
  for (int attempt = 0; attempt < 50 && !udp_; ++attempt) {
    port_ = port;
    tcp_ = Bound(SOCK_STREAM, address_, port_);
    if (tcp_) udp_ = Bound(SOCK_DGRAM, address_, port_);
  }
  stop_.reset(::eventfd(0, EFD_CLOEXEC));
  if (!udp_ || !stop_ || ::listen(tcp_.get(), 8) != 0) std::abort();
  thread_ = std::thread([this] { Serve(); });
}

DnsServer::~DnsServer() {
  ::eventfd_write(stop_.get(), 1);
  thread_.join();
}

std::string DnsServer::HostPort() const { return absl::StrCat(address_, ":", port_); }

void DnsServer::Set(const std::string& name, std::vector<std::string> addresses) {
  const std::lock_guard lock(mutex_);
  names_[name] = std::move(addresses);
}

void DnsServer::SetMode(Mode mode) {
  const std::lock_guard lock(mutex_);
  mode_ = mode;
}

void DnsServer::FailIn(const std::string& domain) {
  const std::lock_guard lock(mutex_);
  failing_ = absl::StrCat(".", domain);
}

int DnsServer::questions() const {
  const std::lock_guard lock(mutex_);
  return questions_;
}

void DnsServer::Serve() {
  pollfd entries[] = {{stop_.get(), POLLIN, 0}, {udp_.get(), POLLIN, 0}, {tcp_.get(), POLLIN, 0}};
  while (true) {
    ::poll(entries, 3, -1);
    if (entries[0].revents != 0) return;
    if (entries[1].revents != 0) ServeUdp();
    if (entries[2].revents != 0) ServeTcp();
  }
}

void DnsServer::ServeUdp() {
  std::string question(4096, '\0');
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  auto* generic = reinterpret_cast<sockaddr*>(&peer);
  const ssize_t read = ::recvfrom(udp_.get(), question.data(), question.size(), 0, generic, &size);
  if (read <= 0) return;
  question.resize(static_cast<std::size_t>(read));
  const std::string answer = Answer(question, false);
  if (!answer.empty()) ::sendto(udp_.get(), answer.data(), answer.size(), 0, generic, size);
}

// One client at a time, until it has nothing more to ask.
void DnsServer::ServeTcp() {
  const UniqueFd client(::accept4(tcp_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  const timeval patience{5, 0};
  ::setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  while (true) {
    std::string length(2, '\0');
    if (::recv(client.get(), length.data(), 2, MSG_WAITALL) != 2) return;
    std::string question(Read16(length, 0), '\0');
    if (::recv(client.get(), question.data(), question.size(), MSG_WAITALL) !=
        static_cast<ssize_t>(question.size())) {
      return;
    }
    const std::string answer = Answer(question, true);
    if (answer.empty()) continue;
    std::string framed;
    Append16(framed, answer.size());
    framed += answer;
    ::send(client.get(), framed.data(), framed.size(), MSG_NOSIGNAL);
  }
}

std::string DnsServer::Answer(const std::string& question, bool tcp) {
  if (question.size() <= kHeader) return "";
  std::string name;
  std::size_t at = kHeader;
  while (question.at(at) != 0) {
    const auto length = static_cast<uint8_t>(question.at(at));
    if (!name.empty()) name.push_back('.');
    // c-ares may mix upper and lower case.
    for (const char c : question.substr(at + 1, length)) {
      name.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
    }
    at += 1U + length;
  }
  const std::size_t type = Read16(question, at + 1);
  const std::size_t end = at + 5;  // the root label, the type, and the class

  const std::lock_guard lock(mutex_);
  ++questions_;
  if (mode_ == Mode::kSilent || (mode_ == Mode::kSilent6 && type == kTypeAaaa)) return "";
  const bool cut = mode_ == Mode::kTruncate && !tcp;
  std::size_t count = 0;
  std::string records;
  const auto found = names_.find(name);
  if (found != names_.end() && !cut) {
    for (const std::string& address : found->second) {
      const bool is6 = absl::StrContains(address, ':');
      if (type != (is6 ? kTypeAaaa : kTypeA)) continue;
      std::string bytes(is6 ? 16 : 4, '\0');
      ::inet_pton(is6 ? AF_INET6 : AF_INET, address.c_str(), bytes.data());
      Append16(records, 0xC000 | kHeader);  // the name: as in the question
      Append16(records, type);
      Append16(records, 1);  // IN
      Append16(records, 0);  // for how long it counts: not at all
      Append16(records, 0);
      Append16(records, bytes.size());
      records += bytes;
      ++count;
    }
  }
  uint8_t code = found == names_.end() ? kNoSuchName : 0;
  const bool in_failing = !failing_.empty() && absl::EndsWith(name, failing_);
  if (mode_ == Mode::kFail || in_failing) code = kServerFailure;
  std::string answer = question.substr(0, 2);
  answer.push_back(static_cast<char>(0x85 | (cut ? kTruncated : 0)));  // an answer, authoritative
  answer.push_back(static_cast<char>(0x80 | code));
  Append16(answer, 1);
  Append16(answer, code == 0 ? count : 0);
  Append16(answer, 0);
  Append16(answer, 0);
  answer += question.substr(kHeader, end - kHeader);
  if (code == 0) answer += records;
  return answer;
}

}  // namespace okms::test
