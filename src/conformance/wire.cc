// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "conformance/wire.h"

#include <sys/socket.h>

#include <chrono>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "client/unix_connection.h"

namespace okms::conformance {
namespace {

constexpr std::chrono::seconds kForItsTurn{3};  // the apiserver's timeout

}  // namespace

absl::StatusOr<UniqueFd> ConnectAndSend(const std::string& socket, absl::string_view bytes) {
  OKMS_ASSIGN_OR_RETURN(UniqueFd fd, client::ConnectUnix(socket, kForItsTurn));
  ::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return fd;
}

std::string Http2Beginning() {
  const std::string settings(9, '\0');     // of size 0, type 4
  const std::string headers = "\x01\xFF";  // half of what says how many bytes come
  std::string frame = settings;
  frame[3] = 4;
  return absl::StrCat("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", frame, headers);
}

std::string UnknownField() {
  constexpr char kField[] = "\xFA\x7F\x05hello";  // number 2047, five bytes
  return {kField, sizeof kField - 1};
}

}  // namespace okms::conformance
