// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Channels of c-ares for each look-up. What c-ares calls ares_library_init does nothing on Linux.
//
// It is asked for absolute names only. Its own search ends at a domain whose server fails, or, in
// 1.18, at the root as a domain, and so for ever where resolv.conf has these.

#include "net/lookup.h"

#include <ares.h>
#include <limits.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "net/search_list.h"

namespace okms {
namespace {

// A dead name server must not use up a call's three seconds.
constexpr int kServerTimeoutMs = 1000;
constexpr int kTries = 2;  // of each name server

// An answer can hold hundreds; whoever tries them all does nothing else.
constexpr std::size_t kMostAddresses = 16;

constexpr std::array kFiles{
    ResolverFile{"/etc/resolv.conf", "which name servers to ask"},
    ResolverFile{"/etc/hosts", "names that need no name server"},
    ResolverFile{"/etc/nsswitch.conf", "newer releases of c-ares read it, to no effect"},
    ResolverFile{"/etc/netsvc.conf", "newer releases of c-ares read it, to no effect"},
    ResolverFile{"/etc/svc.conf", "newer releases of c-ares read it, to no effect"},
    ResolverFile{"/dev/urandom", "the numbers of queries, in older releases of c-ares"},
};

struct AddrInfoDeleter {
  void operator()(ares_addrinfo* list) const { ::ares_freeaddrinfo(list); }
};

}  // namespace

void Lookup::ChannelDeleter::operator()(ares_channeldata* channel) const {
  ::ares_destroy(channel);
}

Lookup::Lookup(const HostPort& target, const std::string& name_servers,
               const std::string& resolv_conf)
    : target_(target) {
  char files[] = "f";
  char dns[] = "b";
  if (!Open(files, "")) return;
  // The dot of an absolute name has no place in /etc/hosts.
  Ask(std::string(absl::StripSuffix(target_.host, ".")));
  failure_ = ARES_SUCCESS;  // that it is not there
  if (done() || !Open(dns, name_servers)) return;
  std::ifstream file(resolv_conf);
  const std::string rules{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  char host_name[HOST_NAME_MAX + 1] = "";
  ::gethostname(host_name, sizeof host_name - 1);
  names_ = SearchList(target_.host, rules, host_name);
  Advance();
}

bool Lookup::Open(char* where, const std::string& name_servers) {
  ares_options options{};
  options.timeout = kServerTimeoutMs;
  options.tries = kTries;
  options.lookups = where;  // whatever nsswitch.conf says
  options.sock_state_cb = Watch;
  options.sock_state_cb_data = this;
  ares_channeldata* channel = nullptr;
  int status = ::ares_init_options(
      &channel, &options,
      ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB);
  if (status == ARES_SUCCESS) {
    channel_.reset(channel);
    if (!name_servers.empty()) {
      status = ::ares_set_servers_ports_csv(channel, name_servers.c_str());
    }
  }
  if (status != ARES_SUCCESS) Fail(status);
  return status == ARES_SUCCESS;
}

void Lookup::Ask(const std::string& name) {
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = ARES_AI_NUMERICSERV;
  asking_ = true;
  ::ares_getaddrinfo(channel_.get(), name.c_str(), absl::StrCat(target_.port).c_str(), &hints,
                     Finish, this);
}

void Lookup::Advance() {
  while (!done() && !asking_) {
    if (next_ == names_.size()) {
      Fail(failure_);
    } else {
      Ask(names_[next_++]);
    }
  }
}

Lookup::~Lookup() = default;

std::vector<pollfd> Lookup::Descriptors() const {
  std::vector<pollfd> descriptors;
  for (const auto& [fd, events] : watched_) descriptors.push_back({fd, events, 0});
  return descriptors;
}

Clock::time_point Lookup::NextTime() const {
  timeval buffer{};
  const auto now = Clock::now();
  const timeval* left = channel_ ? ::ares_timeout(channel_.get(), nullptr, &buffer) : nullptr;
  if (left == nullptr) return now;
  return now + std::chrono::seconds(left->tv_sec) + std::chrono::microseconds(left->tv_usec);
}

void Lookup::Process() {
  if (done()) return;
  // Asked anew, whatever the caller saw: libcurl for one tells of no errors, and a name server that
  // is not there is one.
  std::vector<pollfd> ready = Descriptors();
  ::poll(ready.data(), ready.size(), 0);
  for (const pollfd& entry : ready) {
    const auto is = [&](short events) { return (entry.revents & events) != 0; };
    const bool broken = is(POLLERR | POLLHUP);
    const bool read = is(POLLIN) || (broken && (entry.events & POLLIN) != 0);
    const bool write = is(POLLOUT) || (broken && (entry.events & POLLOUT) != 0);
    if (!read && !write) continue;
    ::ares_process_fd(channel_.get(), read ? entry.fd : ARES_SOCKET_BAD,
                      write ? entry.fd : ARES_SOCKET_BAD);
  }
  ::ares_process_fd(channel_.get(), ARES_SOCKET_BAD, ARES_SOCKET_BAD);  // whose time is over
  Advance();
}

void Lookup::Watch(void* self, int fd, int readable, int writable) {
  const int events = (readable != 0 ? POLLIN : 0) | (writable != 0 ? POLLOUT : 0);
  std::map<int, short>& watched = static_cast<Lookup*>(self)->watched_;
  if (events == 0) {
    watched.erase(fd);
  } else {
    watched[fd] = static_cast<short>(events);
  }
}

void Lookup::Finish(void* self, int status, int, ares_addrinfo* list) {
  auto* lookup = static_cast<Lookup*>(self);
  lookup->asking_ = false;
  const std::unique_ptr<ares_addrinfo, AddrInfoDeleter> owned(list);
  std::vector<Address> addresses;
  for (const ares_addrinfo_node* node = status == ARES_SUCCESS ? list->nodes : nullptr;
       node != nullptr && addresses.size() < kMostAddresses; node = node->ai_next) {
    Address address;
    if (node->ai_addrlen > sizeof address.storage) continue;
    std::memcpy(&address.storage, node->ai_addr, node->ai_addrlen);
    address.size = node->ai_addrlen;
    addresses.push_back(address);
  }
  if (!addresses.empty()) {
    lookup->result_ = std::move(addresses);
    return;
  }
  // That a server fails tells more than that some other name does not exist.
  const int failure = status == ARES_SUCCESS ? ARES_ENODATA : status;
  const auto weight = [](int code) {
    return code == ARES_SUCCESS ? 0 : code == ARES_ENOTFOUND ? 1 : code == ARES_ENODATA ? 2 : 3;
  };
  if (weight(failure) > weight(lookup->failure_)) lookup->failure_ = failure;
}

void Lookup::Fail(int status) {
  result_ = absl::UnavailableError(
      absl::StrCat("cannot resolve ", target_.host, ": ", ::ares_strerror(status)));
}

std::span<const ResolverFile> ResolverFiles() { return kFiles; }

}  // namespace okms
