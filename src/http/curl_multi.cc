// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// libcurl tells by callbacks which descriptors it waits for and until when, and must not be called
// from within them. What it wants done at once (a transfer was added, mostly) is posted, not timed:
// so it is done by the thread that brought the call, and once for all that have come meanwhile.
// What has ended is looked at in the same round, after all that is ready was read: answers that go
// up in one row cost gRPC a quarter less than each by itself.

#include "http/curl_multi.h"

#include <chrono>

namespace okms::http {

CurlMulti::CurlMulti(IoLoop& loop, std::size_t most_connections, Traffic& traffic,
                     std::function<void()> worked)
    : loop_(loop),
      most_connections_(static_cast<long>(most_connections)),
      worked_(std::move(worked)),
      connections_(loop, traffic, [this](curl_socket_t fd, int events) {
        Act(fd, events);
        RoundSoon();
      }) {}

bool CurlMulti::Open() {
  MultiPtr multi(Curl().multi_init());
  if (!multi) return false;
  const auto set = [&](CURLMoption option, auto value) {
    Curl().multi_setopt(multi.get(), option, value);
  };
  set(CURLMOPT_MAX_HOST_CONNECTIONS, most_connections_);
  set(CURLMOPT_MAXCONNECTS, most_connections_);
  set(CURLMOPT_SOCKETFUNCTION, OnSocket);
  set(CURLMOPT_SOCKETDATA, this);
  set(CURLMOPT_TIMERFUNCTION, OnTimer);
  set(CURLMOPT_TIMERDATA, this);
  multi_ = std::move(multi);
  return true;
}

void CurlMulti::Close() {
  closed_ = true;
  multi_.reset();
  timer_.Stop();
}

std::optional<std::pair<CURL*, CURLcode>> CurlMulti::NextEnded() {
  int left = 0;
  while (const CURLMsg* message = Curl().multi_info_read(multi_.get(), &left)) {
    if (message->msg == CURLMSG_DONE) return {{message->easy_handle, message->data.result}};
  }
  return std::nullopt;
}

int CurlMulti::OnSocket(CURL*, curl_socket_t fd, int what, void* self, void*) {
  static_cast<CurlMulti*>(self)->connections_.Await(fd, what);
  return 0;
}

int CurlMulti::OnTimer(CURLM*, long milliseconds, void* self) {
  auto* multi = static_cast<CurlMulti*>(self);
  // Each time replaces the one before; -1 is none.
  multi->timer_.Stop();
  multi->due_ = milliseconds == 0;
  if (milliseconds == 0) {
    multi->RoundSoon();
  } else if (milliseconds > 0) {
    multi->timer_ =
        multi->loop_.At(Clock::now() + std::chrono::milliseconds(milliseconds), [multi] {
          multi->due_ = true;
          multi->Round();
        });
  }
  return 0;
}

void CurlMulti::RoundSoon() {
  if (posted_ || closed_) return;
  posted_ = true;
  loop_.Post([this] {
    posted_ = false;
    if (!closed_) Round();
  });
}

void CurlMulti::Round() {
  if (std::exchange(due_, false)) {
    connections_.Cork();
    Act(CURL_SOCKET_TIMEOUT, 0);
    connections_.Uncork();
  }
  worked_();
}

void CurlMulti::Act(curl_socket_t fd, int events) {
  int running = 0;
  Curl().multi_socket_action(multi_.get(), fd, events, &running);
}

}  // namespace okms::http
