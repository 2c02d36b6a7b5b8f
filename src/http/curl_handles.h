// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Owning pointers for libcurl's types.

#ifndef OKMS_HTTP_CURL_HANDLES_H_
#define OKMS_HTTP_CURL_HANDLES_H_

#include <memory>

#include "http/libcurl.h"

namespace okms::http {

struct EasyDeleter {
  void operator()(CURL* easy) const { Curl().easy_cleanup(easy); }
};
using EasyPtr = std::unique_ptr<CURL, EasyDeleter>;

struct MultiDeleter {
  void operator()(CURLM* multi) const { Curl().multi_cleanup(multi); }
};
using MultiPtr = std::unique_ptr<CURLM, MultiDeleter>;

struct ListDeleter {
  void operator()(curl_slist* list) const { Curl().slist_free_all(list); }
};
using ListPtr = std::unique_ptr<curl_slist, ListDeleter>;

}  // namespace okms::http

#endif  // OKMS_HTTP_CURL_HANDLES_H_
