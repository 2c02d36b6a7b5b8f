// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/libcurl.h"

#include <dlfcn.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace okms {
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

}  // namespace okms
