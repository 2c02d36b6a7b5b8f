// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// One call that libcurl carries out.

#ifndef OKMS_HTTP_CURL_TRANSFER_H_
#define OKMS_HTTP_CURL_TRANSFER_H_

#include <array>
#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "base/deadline.h"
#include "base/debug.h"
#include "http/curl_connections.h"
#include "http/curl_handles.h"
#include "http/http_client.h"
#include "http/libcurl.h"
#include "net/io_loop.h"
#include "net/traffic.h"

namespace okms::http {

constexpr std::size_t kMaxAnswer =
    std::size_t{1024} * 1024;  // bytes; a page of 100 keys has some 100 kB

// A call, until it is answered.
struct Job {
  std::shared_ptr<const HttpRequest> request;
  Clock::time_point earliest;
  Deadline deadline;
  Done<HttpResponse> done;
  Clock::time_point due = {};  // when it could have started, but for the names
  IoLoop::Timer timer = {};    // for what comes next if nothing else does
};

// A call under way, and what libcurl's callbacks note about it. Of the loop's turn.
struct Transfer {
  Job job;
  Clock::time_point started;
  ListPtr addresses;  // before the handle, which uses both
  ListPtr headers;
  EasyPtr easy;
  HttpResponse response;
  CurlConnections* connections = nullptr;  // of the client, both
  bool* shared = nullptr;
  bool connects = false;  // by a connection of its own
  bool waits = true;      // for a connection that another one has, or begins
  bool too_large = false;
  Stopwatch watch;
  std::array<char, CURL_ERROR_SIZE> error{};
};

// Tells the handle all that is of this transfer. False when libcurl does not take it.
bool Prepare(Transfer& transfer, const std::string& base_url);
// The handle forgets what goes with the transfer.
void Release(const Transfer& transfer);

// For CURLOPT_WRITEFUNCTION, CURLOPT_SOCKOPTFUNCTION and CURLOPT_PREREQFUNCTION; their data is the
// Transfer.
std::size_t TakeBody(char* data, std::size_t, std::size_t size, void* transfer);
int Connecting(void* transfer, curl_socket_t fd, curlsocktype purpose);
int Connected(void* transfer, char*, char*, int, int);

// All of the answer but its body.
void ReadHead(CURL* easy, HttpResponse& response);

// How far it came, and how long each step took.
void CountSteps(const Transfer& transfer, bool answered, Traffic& traffic);

// Its end, for --debug.
void TellEnd(const Transfer& transfer, const absl::Status& status);

}  // namespace okms::http

#endif  // OKMS_HTTP_CURL_TRANSFER_H_
