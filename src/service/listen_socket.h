// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The sockets that others connect to: inherited from systemd, or bound here.

#ifndef OKMS_SERVICE_LISTEN_SOCKET_H_
#define OKMS_SERVICE_LISTEN_SOCKET_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "net/address.h"
#include "net/socket_address.h"

namespace okms {

struct PassedSockets;

// A listening socket. The file of one that was bound here stays when the socket goes: the process
// has by then given up the right to remove files. The next Bind replaces it.
class ListenSocket {
 public:
  // What systemd passed (sd_listen_fds(3)), by its name: "kms", for kube-apiserver, and "status",
  // for the status pages, each of which may be missing. Clears the variables that announced it.
  // Errors: kFailedPrecondition when "kms" is not one listening unix stream socket, or another one
  // was passed in its place.
  static absl::StatusOr<PassedSockets> FromSystemd();

  // Binds and listens, with mode 0660 and, if given, that group. What is at the path gives way only
  // if it is a socket on which nobody listens. Errors: kFailedPrecondition, one line.
  static absl::StatusOr<ListenSocket> Bind(const SocketAddress& address,
                                           const std::optional<SocketGroup>& group);

  // Binds and listens at an IP address. `name` is for lines: the flag, and what it says. Errors:
  // kFailedPrecondition, one line.
  static absl::StatusOr<ListenSocket> BindTcp(const Address& address, absl::string_view name);

  // Whether Bind would succeed, as far as that can be told without doing it: "free", or "in use"
  // when somebody listens there, such as the very plugin whose configuration this is. Errors: as
  // Bind's.
  static absl::StatusOr<std::string> Check(const SocketAddress& address,
                                           const std::optional<SocketGroup>& group);

  ListenSocket(ListenSocket&&) noexcept = default;
  ListenSocket& operator=(ListenSocket&&) noexcept = default;
  ~ListenSocket() = default;

  int fd() const { return fd_.get(); }
  const std::string& name() const { return name_; }
  // Of its file; empty in the abstract namespace.
  std::string path() const;
  // Where it listens, if that is an IP address.
  std::optional<Address> tcp_address() const;
  bool from_systemd() const { return from_systemd_; }

 private:
  using PassedFds = std::vector<std::pair<std::string, UniqueFd>>;  // by name

  static absl::StatusOr<std::optional<ListenSocket>> Take(PassedFds& fds, absl::string_view name,
                                                          int family);

  ListenSocket(UniqueFd fd, std::string name, bool from_systemd)
      : fd_(std::move(fd)), name_(std::move(name)), from_systemd_(from_systemd) {}

  UniqueFd fd_;
  std::string name_;
  bool from_systemd_;
};

struct PassedSockets {
  std::optional<ListenSocket> kms;
  std::optional<ListenSocket> status;  // unix or TCP
  absl::Status status_refused;         // why it is of no use, though one was passed
};

}  // namespace okms

#endif  // OKMS_SERVICE_LISTEN_SOCKET_H_
