// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A page over HTTP/1.1 (RFC 9112).

#ifndef OKMS_CTL_HTTP_GET_H_
#define OKMS_CTL_HTTP_GET_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/deadline.h"

namespace okms::ctl {

// What the page of that path has, asked for over a connected socket that does not block; `most`
// bytes of it at the most. Blocks until the deadline at the longest. Errors: kNotFound there is no
// such page; kDeadlineExceeded; kUnavailable the connection broke; kDataLoss what came is no page.
absl::StatusOr<std::string> HttpGet(int socket, absl::string_view path, std::size_t most,
                                    Deadline deadline);

}  // namespace okms::ctl

#endif  // OKMS_CTL_HTTP_GET_H_
