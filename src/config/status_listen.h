// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Where the status pages are served.

#ifndef OKMS_CONFIG_STATUS_LISTEN_H_
#define OKMS_CONFIG_STATUS_LISTEN_H_

#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "net/address.h"
#include "net/socket_address.h"

namespace okms {

inline constexpr char kStatusListenFlag[] = "--status-listen";

struct TcpListen {
  Address address;
  std::string name;  // the flag and its value, for a line
};

// A socket with a path, whose mode says who may connect, or one that all who reach the address may.
using StatusListen = std::variant<SocketAddress, TcpListen>;

// Takes "unix:/path" and "unix:///path"; "127.0.0.1:9440", "[::1]:9440" and "localhost:9440" (of
// IPv4); and, if `anywhere`, other addresses than loopback's. No name, which would have to be
// looked up before the sandbox. Errors: kInvalidArgument, a line that begins with the flag.
absl::StatusOr<StatusListen> ParseStatusListen(absl::string_view text, bool anywhere);

}  // namespace okms

#endif  // OKMS_CONFIG_STATUS_LISTEN_H_
