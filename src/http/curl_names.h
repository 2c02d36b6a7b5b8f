// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Name resolution for libcurl, which must not do it by itself: it would call getaddrinfo(3), which
// blocks and loads plugins, on a thread of its own.

#ifndef OKMS_HTTP_CURL_NAMES_H_
#define OKMS_HTTP_CURL_NAMES_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/deadline.h"
#include "http/curl_handles.h"
#include "http/libcurl.h"
#include "http/proxy.h"
#include "net/cached_name.h"
#include "net/host_port.h"
#include "net/io_loop.h"

namespace okms::http {

// The KMS's addresses and those of the proxy, each as far as it may be connected to. Of the loop's
// turn; no call blocks.
class CurlNames {
 public:
  // `told` is called when Ready may say another thing than before. For tests: `name_servers` as
  // Lookup takes them.
  CurlNames(IoLoop& loop, const HostPort& server, std::optional<Proxy> proxy, Traffic& traffic,
            const std::string& name_servers, const std::function<void()>& told);
  CurlNames(const CurlNames&) = delete;
  CurlNames& operator=(const CurlNames&) = delete;

  // A transfer is about to begin: sees to it that what is missing or old is looked up.
  void Refresh();
  // A transfer failed: perhaps they have other addresses by now.
  void Suspect();

  // Whether a transfer may begin that must end by `deadline`; false: not yet. Errors: kUnavailable,
  // kDeadlineExceeded, "cannot resolve ...".
  absl::StatusOr<bool> Ready(Deadline deadline) const;

  // What is known, for CURLOPT_RESOLVE. It covers IP addresses too, so that whatever libcurl would
  // resolve by itself can be refused.
  ListPtr Entries() const;
  // Why libcurl found no address of the KMS or (CURLE_COULDNT_RESOLVE_PROXY) of the proxy; `error`
  // is what it wrote to the error buffer.
  absl::Status Failure(CURLcode code, absl::string_view error) const;

 private:
  bool NeedsServer() const { return !proxy_ || proxy_->target_is_resolved; }
  absl::Status ProxyError() const;

  const std::optional<Proxy> proxy_;
  CachedName server_;
  std::optional<CachedName> proxy_name_;
  std::vector<CachedName*> needed_;  // of the two
};

}  // namespace okms::http

#endif  // OKMS_HTTP_CURL_NAMES_H_
