// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The address of our unix socket, as --sock takes it.

#ifndef OKMS_NET_SOCKET_ADDRESS_H_
#define OKMS_NET_SOCKET_ADDRESS_H_

#include <sys/types.h>

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace okms {

// Where to listen. Exactly one of the two is set.
struct SocketAddress {
  std::string path;             // absolute
  std::string abstract_name;    // in the abstract namespace, without the '@'
  std::string flag = "--sock";  // which names it, for a line

  std::string ToString() const;  // "/run/kms.sock" or "@name"
};

// The group that its file is given to.
struct SocketGroup {
  gid_t id;
  std::string name;  // as somebody typed it
};

// Takes "/path", "@name", and both with "unix://" in front, as the apiserver's endpoint has it
// ("unix:///path", "unix:///@name"). Errors: kInvalidArgument.
absl::StatusOr<SocketAddress> ParseSocketAddress(absl::string_view text);

}  // namespace okms

#endif  // OKMS_NET_SOCKET_ADDRESS_H_
