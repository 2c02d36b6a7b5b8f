// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The socket that kube-apiserver connects to: inherited from systemd, or bound here.

#ifndef OKMS_SERVICE_LISTEN_SOCKET_H_
#define OKMS_SERVICE_LISTEN_SOCKET_H_

#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "net/socket_address.h"

namespace okms {

// A listening socket. The file of one that was bound here stays when the socket goes: the process
// has by then given up the right to remove files. The next Bind replaces it.
class ListenSocket {
 public:
  // The socket named "kms" that systemd passed (sd_listen_fds(3)); nullopt when it passed none at
  // all. Clears the variables that announced it. Errors: kFailedPrecondition when what was passed
  // is not one listening stream socket of that name.
  static absl::StatusOr<std::optional<ListenSocket>> FromSystemd();

  // Binds and listens, with mode 0660 and, if given, that group. What is at the path gives way only
  // if it is a socket on which nobody listens. Errors: kFailedPrecondition, one line.
  static absl::StatusOr<ListenSocket> Bind(const SocketAddress& address,
                                           const std::optional<SocketGroup>& group);

  // Whether Bind would succeed, as far as that can be told without doing it: "free", or "in use"
  // when somebody listens there, such as the very plugin whose configuration this is. Errors: as
  // Bind's.
  static absl::StatusOr<std::string> Check(const SocketAddress& address,
                                           const std::optional<SocketGroup>& group);

  ListenSocket(ListenSocket&&) noexcept = default;
  ListenSocket& operator=(ListenSocket&&) = delete;
  ~ListenSocket() = default;

  int fd() const { return fd_.get(); }
  const std::string& name() const { return name_; }
  // Of its file; empty in the abstract namespace.
  std::string path() const;
  bool from_systemd() const { return from_systemd_; }

 private:
  ListenSocket(UniqueFd fd, std::string name, bool from_systemd)
      : fd_(std::move(fd)), name_(std::move(name)), from_systemd_(from_systemd) {}

  UniqueFd fd_;
  std::string name_;
  bool from_systemd_;
};

}  // namespace okms

#endif  // OKMS_SERVICE_LISTEN_SOCKET_H_
