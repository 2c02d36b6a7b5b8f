// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// One look-up of one name, by c-ares: /etc/hosts, then DNS. Unlike getaddrinfo(3) it never blocks,
// can be ended at any time, and loads no plugins (NSS), so that what it asks of the system is
// known.

#ifndef OKMS_NET_LOOKUP_H_
#define OKMS_NET_LOOKUP_H_

#include <poll.h>

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/deadline.h"
#include "net/address.h"
#include "net/host_port.h"

struct ares_addrinfo;
struct ares_channeldata;

namespace okms {

// Begins when it is made, and reads the system's configuration anew each time: that may come with
// DHCP long after we started. It goes on only while its caller lets it:
//
//   while (!lookup.done()) {
//     ... wait until one of Descriptors() is ready, or for NextTime() ...
//     lookup.Process();
//   }
//
// The name as it is given is looked for in /etc/hosts; then DNS is asked for it, in the domains of
// resolv.conf and as it is given (SearchList), until one of these has an address: whatever fails,
// the next one is asked. A name server has a second to answer before the next one is asked, and
// when none is left all are asked once more, with twice the time. May be destroyed at any time. Not
// thread-safe.
class Lookup {
 public:
  // At least one address and at most 16, with the target's port, in the order in which to try them
  // (RFC 6724).
  using Result = absl::StatusOr<std::vector<Address>>;

  // For tests: `name_servers` ("127.0.0.1:5353,...") in place of those of /etc/resolv.conf, and
  // `resolv_conf` in its place for the rest.
  explicit Lookup(const HostPort& target, const std::string& name_servers = "",
                  const std::string& resolv_conf = "/etc/resolv.conf");
  ~Lookup();
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;

  bool done() const { return result_.has_value(); }
  // Once done(). Errors: kUnavailable, "cannot resolve NAME: REASON".
  const Result& result() const { return *result_; }

  std::vector<pollfd> Descriptors() const;
  // When Process is due though no descriptor is ready.
  Clock::time_point NextTime() const;
  // Does what can be done without waiting.
  void Process();

 private:
  struct ChannelDeleter {
    void operator()(ares_channeldata* channel) const;
  };

  static void Watch(void* self, int fd, int readable, int writable);
  static void Finish(void* self, int status, int timeouts, ares_addrinfo* list);
  // A channel of c-ares that looks there ("f": files, "b": DNS); what goes wrong is a failure.
  bool Open(char* where, const std::string& name_servers);
  void Ask(const std::string& name);
  // Asks for the next name, while those before have failed.
  void Advance();
  void Fail(int status);

  const HostPort target_;
  std::vector<std::string> names_;  // to ask DNS for
  std::size_t next_ = 0;            // of these
  bool asking_ = false;
  int failure_ = 0;               // what is most worth telling of the names before
  std::map<int, short> watched_;  // descriptor to events
  std::optional<Result> result_;
  // Last: its end may call Finish.
  std::unique_ptr<ares_channeldata, ChannelDeleter> channel_;
};

// A file that look-ups read.
struct ResolverFile {
  const char* path;
  const char* why;
};

// All of them, for the rules of a sandbox. Each may be missing, but one that is there and cannot be
// read fails the look-up. Those in /etc are replaced by rename and may be symbolic links into /run:
// a rule that is bound to an inode must be for the folder of what they lead to.
std::span<const ResolverFile> ResolverFiles();

}  // namespace okms

#endif  // OKMS_NET_LOOKUP_H_
