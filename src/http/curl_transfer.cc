// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "http/curl_transfer.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status.h"
#include "net/host_port.h"

namespace okms::http {
namespace {

long MillisecondsUntil(Clock::time_point time) { return std::max(1, PollTimeout(time)); }

// What libcurl would add by itself is left out: each is empty.
ListPtr HeadersOf(const HttpRequest& request) {
  ListPtr list;
  const auto add = [&](const char* line) { list.reset(Curl().slist_append(list.release(), line)); };
  add("Accept:");
  if (request.body) {
    add("Expect:");
    add("Content-Type: application/json");
  }
  for (const std::string& line : request.headers) add(line.c_str());
  return list;
}

// The one form in which it may be sent (RFC 9110 section 5.6.7).
std::optional<std::time_t> ParseDate(const std::string& text) {
  std::tm fields{};
  const char* const end = ::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &fields);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return ::timegm(&fields);
}

}  // namespace

bool Prepare(Transfer& transfer, const std::string& base_url) {
  CURL* easy = transfer.easy.get();
  const HttpRequest& request = *transfer.job.request;
  bool ok = easy != nullptr;
  const auto set = [&](CURLoption option, auto value) {
    ok = ok && Curl().easy_setopt(easy, option, value) == CURLE_OK;
  };
  transfer.headers = HeadersOf(request);
  set(CURLOPT_URL, absl::StrCat(base_url, request.path).c_str());
  set(CURLOPT_RESOLVE, transfer.addresses.get());
  set(CURLOPT_HTTPHEADER, transfer.headers.get());
  if (!request.body) {
    set(CURLOPT_HTTPGET, 1L);
  } else {
    set(CURLOPT_POST, 1L);
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body->size()));
    set(CURLOPT_POSTFIELDS, request.body->data());  // not copied
  }
  set(CURLOPT_TIMEOUT_MS, MillisecondsUntil(transfer.job.deadline));
  set(CURLOPT_CONNECTTIMEOUT_MS, MillisecondsUntil(transfer.job.deadline));
  // A call waits for the first connection's handshake, to share it if it is HTTP/2.
  set(CURLOPT_PIPEWAIT, *transfer.shared ? 1L : 0L);
  set(CURLOPT_SOCKOPTDATA, &transfer);
  set(CURLOPT_PREREQDATA, &transfer);
  set(CURLOPT_WRITEDATA, &transfer);
  set(CURLOPT_ERRORBUFFER, transfer.error.data());
  return ok;
}

void Release(const Transfer& transfer) {
  CURL* easy = transfer.easy.get();
  Curl().easy_setopt(easy, CURLOPT_ERRORBUFFER, nullptr);
  Curl().easy_setopt(easy, CURLOPT_RESOLVE, nullptr);
  Curl().easy_setopt(easy, CURLOPT_HTTPHEADER, nullptr);
}

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
  const auto header = [&](const char* name) {
    curl_header* found = nullptr;
    const bool there = Curl().easy_header(easy, name, 0, CURLH_HEADER, -1, &found) == CURLHE_OK;
    return std::string(there ? found->value : "");
  };
  response.content_encoding = header("Content-Encoding");
  response.date = ParseDate(header("Date"));
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

void CountSteps(const Transfer& transfer, bool answered, Traffic& traffic) {
  CURL* const easy = transfer.easy.get();
  const auto at = [&](CURLINFO info) {
    curl_off_t time = 0;
    Curl().easy_getinfo(easy, info, &time);
    return std::chrono::microseconds(time);
  };
  const auto count = [](Traffic::Step& step, std::chrono::microseconds took, bool well) {
    if (well) {
      step.took.Add(took);
    } else {
      step.failed.Add();
    }
  };
  using std::chrono_literals::operator""us;
  long connects = 0;
  Curl().easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connects);
  // libcurl counts those alone that came to something.
  if (connects > 0 || transfer.connects) {
    const auto connected = at(CURLINFO_CONNECT_TIME_T);
    count(traffic.connect, connected - at(CURLINFO_NAMELOOKUP_TIME_T), connected > 0us);
    if (connected == 0us) return;
    const auto shaken = at(CURLINFO_APPCONNECT_TIME_T);
    count(traffic.handshake, shaken - connected, shaken > 0us);
    if (shaken == 0us) return;
  }
  count(traffic.request, at(CURLINFO_TOTAL_TIME_T) - at(CURLINFO_PRETRANSFER_TIME_T), answered);
}

void TellEnd(const Transfer& transfer, const absl::Status& status) {
  Debug([&] {
    const HttpRequest& request = *transfer.job.request;
    // Without the query: a list's goes on and on.
    const absl::string_view path = request.path;
    return absl::StrCat(
        "REST ", request.body ? "POST " : "GET ", path.substr(0, path.find('?')), ": ",
        status.ok() ? absl::StrCat("HTTP ", transfer.response.status) : Message(status), " in ",
        transfer.watch.Text());
  });
}

}  // namespace okms::http
