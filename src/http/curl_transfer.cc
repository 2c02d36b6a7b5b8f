// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "http/curl_transfer.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status.h"
#include "net/host_port.h"

namespace okms::http {
namespace {

// Without the host, which is always the same, and the query: a list's goes on and on.
absl::string_view PathOf(absl::string_view url) {
  const std::size_t path = url.find('/', url.find("://") + 3);
  return url.substr(std::min(path, url.size()), url.find('?') - path);
}

}  // namespace

void ReadHead(CURL* easy, HttpResponse& response) {
  long status = 0;
  Curl().easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  response.status = static_cast<int>(status);
  const auto text = [&](CURLINFO info) {
    const char* value = nullptr;
    Curl().easy_getinfo(easy, info, &value);
    return std::string(value != nullptr ? value : "");
  };
  response.content_type = text(CURLINFO_CONTENT_TYPE);
  response.location = text(CURLINFO_REDIRECT_URL);
  curl_header* encoding = nullptr;
  if (Curl().easy_header(easy, "Content-Encoding", 0, CURLH_HEADER, -1, &encoding) == CURLHE_OK) {
    response.content_encoding = encoding->value;
  }
  curl_off_t retry_after = 0;
  Curl().easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after);
  if (retry_after > 0) response.retry_after = std::chrono::seconds(retry_after);
}

std::size_t TakeBody(char* data, std::size_t, std::size_t size, void* user) {
  auto* transfer = static_cast<Transfer*>(user);
  WipedBytes& body = transfer->response.body;
  if (size > kMaxAnswer - body.size()) {
    transfer->too_large = true;
    return 0;  // ends the transfer
  }
  const ByteView bytes = AsBytes({data, size});
  body.insert(body.end(), bytes.begin(), bytes.end());
  return size;
}

int Connecting(void* user, curl_socket_t fd, curlsocktype purpose) {
  auto* transfer = static_cast<Transfer*>(user);
  transfer->waits = false;
  transfer->connects = true;
  return CurlConnections::Opened(transfer->connections, fd, purpose);
}

int Connected(void* user, char* address, char*, int port, int) {
  auto* transfer = static_cast<Transfer*>(user);
  transfer->waits = false;
  *transfer->shared = AgreedOnHttp2(transfer->easy.get());
  if (std::exchange(transfer->connects, false)) {
    Debug([&] {
      return absl::StrCat(HostPort{address, static_cast<uint16_t>(port)}.ToString(),
                          ": connected, ", DescribeTlsOf(transfer->easy.get()),
                          *transfer->shared ? ", HTTP/2" : ", HTTP/1.1");
    });
  }
  return CURL_PREREQFUNC_OK;
}

void TellEnd(const Transfer& transfer, const absl::Status& status) {
  Debug([&] {
    const HttpRequest& request = *transfer.job.request;
    return absl::StrCat(
        "REST ", request.body ? "POST " : "GET ", PathOf(request.url), ": ",
        status.ok() ? absl::StrCat("HTTP ", transfer.response.status) : Message(status), " in ",
        transfer.watch.Text());
  });
}

}  // namespace okms::http
