// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "http/curl_template.h"

#include "absl/strings/str_cat.h"
#include "http/curl_transfer.h"
#include "net/refused_certificate.h"
#include "version.h"

namespace okms::http {
namespace {

constexpr long kBufferSize = 16'384;

}  // namespace

absl::Status CurlTemplate::Make(const std::optional<Proxy>& proxy, CurlConnections& connections) {
  template_.reset(Curl().easy_init());
  CURL* easy = template_.get();
  CURLcode failed = easy == nullptr ? CURLE_OUT_OF_MEMORY : CURLE_OK;
  const auto set = [&](CURLoption option, auto value) {
    if (failed == CURLE_OK) failed = Curl().easy_setopt(easy, option, value);
  };
  set(CURLOPT_PROTOCOLS_STR, "https");
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_PROXY, proxy ? proxy->url.c_str() : "");
  set(CURLOPT_NOPROXY, "");  // ProxyFor has seen to that
  // It is given all addresses (CurlNames); whatever it would still have to look up is refused.
  set(CURLOPT_RESOLVER_START_FUNCTION, RefuseToResolve);
  // The certificate, whom to trust, and whose name to expect come from ConfigureTls. Without a CA
  // of its own libcurl would, in some builds, read the system's for each connection. So it has one,
  // of which nothing comes.
  std::string unused_ca = tls_->CertificateText();
  curl_blob blob{unused_ca.data(), unused_ca.size(), CURL_BLOB_COPY};
  set(CURLOPT_CAINFO_BLOB, &blob);
  set(CURLOPT_PROXY_CAINFO_BLOB, &blob);
  set(CURLOPT_CAINFO, nullptr);
  set(CURLOPT_CAPATH, nullptr);
  set(CURLOPT_SSL_VERIFYPEER, 1L);
  set(CURLOPT_SSL_VERIFYHOST, 2L);
  set(CURLOPT_SSL_CTX_FUNCTION, ConfigureTls);  // refused when TLS is not OpenSSL's
  set(CURLOPT_SSL_CTX_DATA, this);
  // Connections live long, and resumption is where servers with client certificates go wrong.
  set(CURLOPT_SSL_SESSIONID_CACHE, 0L);
  set(CURLOPT_PREREQFUNCTION, Connected);
  set(CURLOPT_SOCKOPTFUNCTION, Connecting);
  set(CURLOPT_CLOSESOCKETFUNCTION, CurlConnections::Close);
  set(CURLOPT_CLOSESOCKETDATA, &connections);
  set(CURLOPT_BUFFERSIZE, kBufferSize);
  set(CURLOPT_UPLOAD_BUFFERSIZE, kBufferSize);
  set(CURLOPT_WRITEFUNCTION, TakeBody);
  set(CURLOPT_USERAGENT, absl::StrCat("okms-k8s-encryption-provider/", kVersion).c_str());
  if (failed != CURLE_OK) {
    return absl::FailedPreconditionError(absl::StrCat(
        "this libcurl (", Curl().version(), ") cannot be used: ", Curl().easy_strerror(failed)));
  }
  return absl::OkStatus();
}

CURLcode CurlTemplate::ConfigureTls(CURL*, void* context, void* self) {
  const auto* made_of = static_cast<const CurlTemplate*>(self);
  const absl::Status status = made_of->tls_->CopyTo(static_cast<SSL_CTX*>(context), made_of->host_);
  NoteRefusals(static_cast<SSL_CTX*>(context));  // for TransferError
  return status.ok() ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
}

EasyPtr CurlTemplate::Take() {
  if (used_.empty()) return EasyPtr(Curl().easy_duphandle(template_.get()));
  EasyPtr easy = std::move(used_.back());
  used_.pop_back();
  return easy;
}

}  // namespace okms::http
