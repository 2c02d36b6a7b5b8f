// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// libcurl's multi interface on one thread. TLS is set up by TlsContext, as for KMIP: libcurl reads
// no file and trusts nobody by itself.

#include "rest/curl_client.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <list>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/guarded.h"
#include "base/status.h"
#include "net/libcurl.h"
#include "net/tcp.h"
#include "rest/curl_error.h"
#include "version.h"

namespace okms::rest {
namespace {

constexpr std::size_t kMaxAnswer =
    std::size_t{1024} * 1024;  // bytes; a page of 100 keys has some 100 kB
constexpr std::size_t kMaxUnderWay = 1024;
constexpr long kMaxConnections = 32;  // of HTTP/1.1, where each carries one call at a time
constexpr long kBufferSize = 16'384;
constexpr std::chrono::milliseconds kRest{500};  // after the last call, until handles are freed
constexpr std::chrono::milliseconds kNothingToDo{60'000};

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

struct Job {
  std::shared_ptr<const HttpRequest> request;
  Clock::time_point earliest;
  Deadline deadline;
  Done<HttpResponse> done;
};

struct Transfer {
  Job job;
  Clock::time_point started;
  EasyPtr easy;
  HttpResponse response;
  bool too_large = false;
  std::array<char, CURL_ERROR_SIZE> error{};
};

long MillisecondsUntil(Clock::time_point time) { return std::max(1, PollTimeout(time)); }

ListPtr Headers(std::initializer_list<const char*> lines) {
  curl_slist* list = nullptr;
  for (const char* line : lines) list = Curl().slist_append(list, line);
  return ListPtr(list);
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

void Cork(curl_socket_t fd, bool on) {
  if (fd == CURL_SOCKET_BAD) return;
  const int value = on ? 1 : 0;
  ::setsockopt(fd, IPPROTO_TCP, TCP_CORK, &value, sizeof value);
}

}  // namespace

class CurlClient::Loop {
 public:
  Loop(std::unique_ptr<TlsContext> tls, HostPort server)
      : tls_(std::move(tls)), server_(std::move(server)), peer_(server_.ToString()) {}
  ~Loop();

  absl::Status Start();
  void Add(Job job);

 private:
  struct Inbox {
    bool stopping = false;
    bool asleep = false;  // the thread waits, or is about to: whoever adds must wake it
    std::size_t under_way = 0;
    std::vector<Job> jobs;
  };

  absl::Status MakeTemplate();
  static int SocketOpened(void* self, curl_socket_t fd, curlsocktype);
  static int CloseSocket(void* self, curl_socket_t fd);
  static CURLcode ConfigureTls(CURL*, void* context, void* self);

  void Run();
  // False when it is time to stop.
  bool TakeJobs();
  void StartTransfer(Job job);
  void FinishTransfers();
  absl::Status Outcome(Transfer& transfer, CURLcode code);
  void CloseIfSilent(const Transfer& transfer);
  void Answer(Job& job, absl::StatusOr<HttpResponse> result);

  const std::unique_ptr<TlsContext> tls_;
  const HostPort server_;
  const std::string peer_;
  const ListPtr get_headers_ = Headers({"Accept:"});
  const ListPtr post_headers_ = Headers({"Accept:", "Expect:", "Content-Type: application/json"});
  // The open connections, and when an answer last came on each. Of the thread only, and then of
  // multi_'s end.
  std::map<curl_socket_t, Clock::time_point> connections_;
  MultiPtr multi_;
  EasyPtr template_;
  Guarded<Inbox> inbox_;

  // Of the thread only.
  std::multimap<Clock::time_point, Job> delayed_;
  std::map<CURL*, std::unique_ptr<Transfer>> transfers_;
  Clock::time_point last_finish_;
  // Handles to use again; gone soon after the last call, with what their buffers hold.
  std::vector<EasyPtr> idle_;
  std::thread thread_;
};

absl::Status CurlClient::Loop::Start() {
  multi_.reset(Curl().multi_init());
  if (!multi_) return absl::FailedPreconditionError("libcurl: no multi handle");
  Curl().multi_setopt(multi_.get(), CURLMOPT_MAX_HOST_CONNECTIONS, kMaxConnections);
  Curl().multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, kMaxConnections);
  OKMS_RETURN_IF_ERROR(MakeTemplate());
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

absl::Status CurlClient::Loop::MakeTemplate() {
  template_.reset(Curl().easy_init());
  CURL* easy = template_.get();
  CURLcode failed = easy == nullptr ? CURLE_OUT_OF_MEMORY : CURLE_OK;
  const auto set = [&](CURLoption option, auto value) {
    if (failed == CURLE_OK) failed = Curl().easy_setopt(easy, option, value);
  };
  set(CURLOPT_PROTOCOLS_STR, "https");
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_NOSIGNAL, 1L);
  // The certificate, whom to trust, and whose name to expect come from ConfigureTls.
  set(CURLOPT_CAINFO, nullptr);
  set(CURLOPT_CAPATH, nullptr);
  set(CURLOPT_SSL_VERIFYPEER, 1L);
  set(CURLOPT_SSL_VERIFYHOST, 2L);
  set(CURLOPT_SSL_CTX_FUNCTION, ConfigureTls);  // refused when TLS is not OpenSSL's
  set(CURLOPT_SSL_CTX_DATA, this);
  // Connections live long, and resumption is where servers with client certificates go wrong.
  set(CURLOPT_SSL_SESSIONID_CACHE, 0L);
  // A call waits for the first connection's handshake, to share it if it is HTTP/2.
  set(CURLOPT_PIPEWAIT, 1L);
  set(CURLOPT_SOCKOPTFUNCTION, SocketOpened);
  set(CURLOPT_SOCKOPTDATA, this);
  set(CURLOPT_CLOSESOCKETFUNCTION, CloseSocket);
  set(CURLOPT_CLOSESOCKETDATA, this);
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

int CurlClient::Loop::SocketOpened(void* self, curl_socket_t fd, curlsocktype) {
  TuneConnection(fd);
  static_cast<Loop*>(self)->connections_[fd] = {};
  return CURL_SOCKOPT_OK;
}

int CurlClient::Loop::CloseSocket(void* self, curl_socket_t fd) {
  static_cast<Loop*>(self)->connections_.erase(fd);
  return ::close(fd);
}

CURLcode CurlClient::Loop::ConfigureTls(CURL*, void* context, void* self) {
  const auto* loop = static_cast<const Loop*>(self);
  const absl::Status status =
      loop->tls_->CopyTo(static_cast<SSL_CTX*>(context), loop->server_.host);
  return status.ok() ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
}

CurlClient::Loop::~Loop() {
  if (!thread_.joinable()) return;
  inbox_.With([](Inbox& inbox) { inbox.stopping = true; });
  Curl().multi_wakeup(multi_.get());
  thread_.join();
}

void CurlClient::Loop::Add(Job job) {
  bool wake = false;
  const absl::Status status = inbox_.With([&](Inbox& inbox) {
    if (inbox.stopping) return absl::CancelledError("the plugin is stopping");
    if (inbox.under_way >= kMaxUnderWay) {
      return absl::ResourceExhaustedError(
          absl::StrCat(kMaxUnderWay, " calls to the KMS are under way already"));
    }
    ++inbox.under_way;
    inbox.jobs.push_back(std::move(job));
    wake = std::exchange(inbox.asleep, false);
    return absl::OkStatus();
  });
  if (!status.ok()) {
    job.done(status);
  } else if (wake) {
    Curl().multi_wakeup(multi_.get());
  }
}

void CurlClient::Loop::Run() {
  while (TakeJobs()) {
    // On a connection that all calls share (HTTP/2), libcurl writes each request's head and body by
    // a call of its own, and each would be a packet: what one round writes leaves together.
    const curl_socket_t shared =
        connections_.size() == 1 ? connections_.begin()->first : CURL_SOCKET_BAD;
    int running = 0;
    Cork(shared, true);
    Curl().multi_perform(multi_.get(), &running);
    if (connections_.contains(shared)) Cork(shared, false);
    FinishTransfers();
    // What was added meanwhile must not wait.
    const bool sleep = inbox_.With(
        [](Inbox& inbox) { return inbox.asleep = inbox.jobs.empty() && !inbox.stopping; });
    if (!sleep) continue;
    auto wake = Clock::now() + (idle_.empty() ? kNothingToDo : kRest);
    if (!delayed_.empty()) wake = std::min(wake, delayed_.begin()->first);
    Curl().multi_poll(multi_.get(), nullptr, 0, PollTimeout(wake), nullptr);
    if (transfers_.empty() && Clock::now() >= last_finish_ + kRest) idle_.clear();
  }
  const absl::Status stopping = absl::CancelledError("the plugin is stopping");
  for (auto& [easy, transfer] : transfers_) {
    Curl().multi_remove_handle(multi_.get(), easy);
    Answer(transfer->job, stopping);
  }
  transfers_.clear();
  for (auto& [time, job] : delayed_) Answer(job, stopping);
}

bool CurlClient::Loop::TakeJobs() {
  std::vector<Job> jobs;
  const bool stopping = inbox_.With([&](Inbox& inbox) {
    inbox.asleep = false;
    jobs.swap(inbox.jobs);
    return inbox.stopping;
  });
  for (Job& job : jobs) {
    const auto earliest = job.earliest;
    delayed_.emplace(earliest, std::move(job));
  }
  if (stopping) return false;
  const auto now = Clock::now();
  while (!delayed_.empty() && delayed_.begin()->first <= now) {
    Job job = std::move(delayed_.begin()->second);
    delayed_.erase(delayed_.begin());
    StartTransfer(std::move(job));
  }
  return true;
}

void CurlClient::Loop::StartTransfer(Job job) {
  if (Expired(job.deadline)) {
    Answer(job, absl::DeadlineExceededError(absl::StrCat(peer_, ": no answer in time")));
    return;
  }
  auto transfer = std::make_unique<Transfer>();
  transfer->started = Clock::now();
  if (idle_.empty()) {
    transfer->easy.reset(Curl().easy_duphandle(template_.get()));
  } else {
    transfer->easy = std::move(idle_.back());
    idle_.pop_back();
  }
  CURL* easy = transfer->easy.get();
  const HttpRequest& request = *job.request;
  bool ok = easy != nullptr;
  const auto set = [&](CURLoption option, auto value) {
    ok = ok && Curl().easy_setopt(easy, option, value) == CURLE_OK;
  };
  set(CURLOPT_URL, request.url.c_str());
  set(CURLOPT_HTTPHEADER, request.body ? post_headers_.get() : get_headers_.get());
  if (!request.body) {
    set(CURLOPT_HTTPGET, 1L);
  } else {
    set(CURLOPT_POST, 1L);
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body->size()));
    set(CURLOPT_POSTFIELDS, request.body->data());  // not copied
  }
  set(CURLOPT_TIMEOUT_MS, MillisecondsUntil(job.deadline));
  set(CURLOPT_CONNECTTIMEOUT_MS, MillisecondsUntil(job.deadline));
  set(CURLOPT_WRITEDATA, transfer.get());
  set(CURLOPT_ERRORBUFFER, transfer->error.data());
  ok = ok && Curl().multi_add_handle(multi_.get(), easy) == CURLM_OK;
  if (!ok) {
    Answer(job, absl::InternalError("libcurl does not take the request"));
    return;
  }
  transfer->job = std::move(job);
  transfers_.emplace(easy, std::move(transfer));
}

void CurlClient::Loop::FinishTransfers() {
  int left = 0;
  while (const CURLMsg* message = Curl().multi_info_read(multi_.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    const auto found = transfers_.find(message->easy_handle);
    const std::unique_ptr<Transfer> transfer = std::move(found->second);
    transfers_.erase(found);
    const absl::Status status = Outcome(*transfer, code);
    Curl().multi_remove_handle(multi_.get(), transfer->easy.get());
    Curl().easy_setopt(transfer->easy.get(), CURLOPT_ERRORBUFFER, nullptr);  // it is the transfer's
    idle_.push_back(std::move(transfer->easy));
    last_finish_ = Clock::now();
    if (status.ok()) {
      Answer(transfer->job, std::move(transfer->response));
    } else {
      Answer(transfer->job, status);
    }
  }
}

absl::Status CurlClient::Loop::Outcome(Transfer& transfer, CURLcode code) {
  CURL* easy = transfer.easy.get();
  if (code == CURLE_OPERATION_TIMEDOUT) CloseIfSilent(transfer);
  if (transfer.too_large) {
    return absl::DataLossError(
        absl::StrCat(peer_, ": an answer of more than ", kMaxAnswer, " bytes"));
  }
  if (code != CURLE_OK) return TransferError(easy, code, transfer.error.data(), server_);

  curl_socket_t socket = CURL_SOCKET_BAD;
  Curl().easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &socket);
  if (const auto found = connections_.find(socket); found != connections_.end()) {
    found->second = Clock::now();
  }

  HttpResponse& response = transfer.response;
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
  return absl::OkStatus();
}

// A connection of HTTP/2 outlives a call that got no answer, and would swallow the next ones too.
// When nothing at all came on it since that call began, it counts as dead; other calls that wait on
// it go on by another one.
void CurlClient::Loop::CloseIfSilent(const Transfer& transfer) {
  curl_socket_t socket = CURL_SOCKET_BAD;
  Curl().easy_getinfo(transfer.easy.get(), CURLINFO_ACTIVESOCKET, &socket);
  const auto found = connections_.find(socket);
  if (found != connections_.end() && found->second < transfer.started) {
    ::shutdown(socket, SHUT_RDWR);
  }
}

void CurlClient::Loop::Answer(Job& job, absl::StatusOr<HttpResponse> result) {
  inbox_.With([](Inbox& inbox) { --inbox.under_way; });
  job.done(std::move(result));
}

absl::StatusOr<std::unique_ptr<CurlClient>> CurlClient::Create(std::unique_ptr<TlsContext> tls,
                                                               HostPort server) {
  OKMS_RETURN_IF_ERROR(LoadLibCurl());
  auto loop = std::make_unique<Loop>(std::move(tls), std::move(server));
  OKMS_RETURN_IF_ERROR(loop->Start());
  return std::unique_ptr<CurlClient>(new CurlClient(std::move(loop)));
}

CurlClient::CurlClient(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
CurlClient::~CurlClient() = default;

void CurlClient::Send(std::shared_ptr<const HttpRequest> request, Clock::time_point earliest,
                      Deadline deadline, Done<HttpResponse> done) {
  loop_->Add({std::move(request), earliest, deadline, std::move(done)});
}

}  // namespace okms::rest
