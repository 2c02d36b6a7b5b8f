// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What all transfers of a client have in common.

#ifndef OKMS_HTTP_CURL_TEMPLATE_H_
#define OKMS_HTTP_CURL_TEMPLATE_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "http/curl_connections.h"
#include "http/curl_handles.h"
#include "http/libcurl.h"
#include "http/proxy.h"
#include "net/tls_context.h"

namespace okms::http {

// Makes libcurl's easy handles, and keeps those that were used, to be used again. TLS is set up by
// TlsContext, as for KMIP, and nothing is resolved: libcurl reads no file, trusts nobody and asks
// no name server by itself. Not thread-safe.
class CurlTemplate {
 public:
  // `host` is whose certificate the server's must be.
  CurlTemplate(std::shared_ptr<const TlsContext> tls, std::string host)
      : tls_(std::move(tls)), host_(std::move(host)) {}
  CurlTemplate(const CurlTemplate&) = delete;
  CurlTemplate& operator=(const CurlTemplate&) = delete;

  // Once, before all else. `connections` must outlive all of this. Errors: kFailedPrecondition
  // (this libcurl cannot be used).
  absl::Status Make(const std::optional<Proxy>& proxy, CurlConnections& connections);

  // Null when libcurl has no memory.
  EasyPtr Take();
  void GiveBack(EasyPtr easy) { used_.push_back(std::move(easy)); }
  bool has_used() const { return !used_.empty(); }
  // Frees them, with what their buffers hold.
  void FreeUsed() { used_.clear(); }

 private:
  static CURLcode ConfigureTls(CURL*, void* context, void* self);
  static int RefuseToResolve(void*, void*, void*) { return 1; }

  const std::shared_ptr<const TlsContext> tls_;
  const std::string host_;
  EasyPtr template_;
  std::vector<EasyPtr> used_;
};

}  // namespace okms::http

#endif  // OKMS_HTTP_CURL_TEMPLATE_H_
