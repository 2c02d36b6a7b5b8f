// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What is shown over HTTP, without HTTP.

#ifndef OKMS_CONTROL_HTTP_PAGES_H_
#define OKMS_CONTROL_HTTP_PAGES_H_

#include <functional>
#include <string>
#include <string_view>

namespace okms {

struct HttpReply {
  int status = 200;  // as RFC 9110 section 15 numbers them
  std::string type;  // of the body, for Content-Type
  std::string body;
};

// The page of that path, which begins with a slash and has no query; 404 for an unknown one. Called
// on the event loop's thread, for anybody who gets at the socket: must not block, nor ask the KMS.
using HttpPages = std::function<HttpReply(std::string_view path)>;

}  // namespace okms

#endif  // OKMS_CONTROL_HTTP_PAGES_H_
