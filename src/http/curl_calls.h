// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The calls of a client, from when they come until they are answered.

#ifndef OKMS_HTTP_CURL_CALLS_H_
#define OKMS_HTTP_CURL_CALLS_H_

#include <atomic>
#include <cstddef>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/deadline.h"
#include "http/curl_multi.h"
#include "http/curl_names.h"
#include "http/curl_template.h"
#include "http/curl_transfer.h"
#include "http/http_client.h"
#include "http/libcurl.h"
#include "http/proxy.h"
#include "net/https_url.h"
#include "net/io_loop.h"
#include "net/tls_context.h"
#include "net/traffic.h"

namespace okms::http {

// Of the loop's turn, but for Admit and until Start returns.
class CurlCalls {
 public:
  CurlCalls(IoLoop& loop, std::shared_ptr<const TlsContext> tls, HttpsUrl base,
            std::optional<Proxy> proxy, std::size_t most_connections, Traffic& traffic,
            const std::string& name_servers);
  CurlCalls(const CurlCalls&) = delete;
  CurlCalls& operator=(const CurlCalls&) = delete;

  // Once, before all else. Errors: kFailedPrecondition (this libcurl cannot be used).
  absl::Status Start();

  // Any thread. Whether another call may come; then it must. Errors: kCancelled,
  // kResourceExhausted.
  absl::Status Admit();
  // One that was admitted.
  void Add(Job job);

  // Ends all calls with kCancelled, and closes all connections.
  void Stop();

 private:
  // Once it is time for it.
  void Begin(Job job);
  void MakeDue(Job job);
  // Those that the names let begin.
  void StartDue();
  void StartTransfer(Job job);
  // libcurl has done something.
  void Look();
  // Those that wait to share a connection begin again, with one of their own.
  void Separate();
  void Finish(CURL* easy, CURLcode code);
  // The end of the transfer; its handle is to be used again.
  void TakeBack(Transfer& transfer);
  absl::Status Outcome(Transfer& transfer, CURLcode code);
  // Frees what the calls left behind, some time after the last one.
  void CleanUp();
  void Answer(Job& job, absl::StatusOr<HttpResponse> result);

  IoLoop& loop_;
  const HttpsUrl base_;
  const std::string peer_;
  const std::optional<Proxy> proxy_;
  Traffic& traffic_;
  std::atomic<std::size_t> under_way_ = 0;
  std::atomic<bool> stopping_ = false;

  CurlNames names_;
  CurlTemplate template_;
  CurlMulti multi_;
  std::list<Job> delayed_;  // until they may begin
  std::list<Job> due_;      // until the names are there
  std::map<CURL*, std::unique_ptr<Transfer>> transfers_;
  bool shared_ = true;      // calls share a connection (HTTP/2), as far as is known
  bool was_shared_ = true;  // when libcurl had last done something
  Clock::time_point last_finish_;
  bool carried_secrets_ = false;  // some connection did, which may still be open
  Clock::time_point last_secret_;
  IoLoop::Timer clean_up_;
};

}  // namespace okms::http

#endif  // OKMS_HTTP_CURL_CALLS_H_
