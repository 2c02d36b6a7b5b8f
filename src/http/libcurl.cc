// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "http/libcurl.h"

#include <dlfcn.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "net/tls_context.h"

namespace okms::http {
namespace {

LibCurl library;

absl::Status Bad(absl::string_view why) {
  return absl::FailedPreconditionError(
      absl::StrCat("--protocol rest needs libcurl: ", why,
                   "; install libcurl with OpenSSL, 7.85 or later (Debian: libcurl4)"));
}

absl::Status Load() {
  // libcurl would write the keys of our TLS sessions to the file of that name.
  ::unsetenv("SSLKEYLOGFILE");
  void* handle = ::dlopen(OKMS_LIBCURL, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return Bad(::dlerror());
#define OKMS_CURL_LOAD(name)                                                               \
  library.name = reinterpret_cast<decltype(library.name)>(::dlsym(handle, "curl_" #name)); \
  if (library.name == nullptr) return Bad(::dlerror());
  OKMS_CURL_FUNCTIONS(OKMS_CURL_LOAD)
#undef OKMS_CURL_LOAD
  if (library.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return Bad("it cannot be initialised");
  return absl::OkStatus();
}

}  // namespace

absl::Status LoadLibCurl() {
  static const absl::Status loaded = Load();
  return loaded;
}

const LibCurl& Curl() { return library; }

namespace {

// Null when there is none, or it is not OpenSSL's.
const SSL* TlsOf(CURL* easy) {
  const curl_tlssessioninfo* tls = nullptr;
  if (library.easy_getinfo(easy, CURLINFO_TLS_SSL_PTR, &tls) != CURLE_OK || tls == nullptr) {
    return nullptr;
  }
  return static_cast<const SSL*>(tls->internals);
}

}  // namespace

bool AgreedOnHttp2(CURL* easy) {
  const SSL* tls = TlsOf(easy);
  if (tls == nullptr) return false;
  const unsigned char* protocol = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(tls, &protocol, &size);
  return std::equal(protocol, protocol + size, std::begin("h2"), std::end("h2") - 1);
}

std::string DescribeTlsOf(CURL* easy) {
  const SSL* tls = TlsOf(easy);
  return tls == nullptr ? "no TLS of OpenSSL's" : DescribeTls(tls);
}

}  // namespace okms::http
