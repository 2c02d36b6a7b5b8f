// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// libcurl's multi interface on one thread. TLS is set up by TlsContext, as for KMIP, and names are
// resolved by CurlNames: libcurl reads no file, trusts nobody and asks no name server by itself.

#include "http/curl_client.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/guarded.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "http/curl_connections.h"
#include "http/curl_error.h"
#include "http/curl_handles.h"
#include "http/curl_names.h"
#include "http/curl_transfer.h"
#include "http/libcurl.h"
#include "version.h"

namespace okms::http {
namespace {

constexpr std::size_t kMaxUnderWay = 1024;
constexpr long kMaxConnections = 32;  // of HTTP/1.1, where each carries one call at a time
constexpr long kBufferSize = 16'384;
constexpr std::chrono::milliseconds kRest{500};  // after the last call, until buffers are freed
constexpr std::chrono::milliseconds kNothingToDo{60'000};
constexpr std::chrono::milliseconds kLate{50};  // when libcurl's own time-out does not come

long MillisecondsUntil(Clock::time_point time) { return std::max(1, PollTimeout(time)); }

ListPtr Headers(std::initializer_list<const char*> lines) {
  curl_slist* list = nullptr;
  for (const char* line : lines) list = Curl().slist_append(list, line);
  return ListPtr(list);
}

}  // namespace

class CurlClient::Loop {
 public:
  Loop(std::shared_ptr<const TlsContext> tls, HostPort server, std::optional<Proxy> proxy,
       const std::string& name_servers)
      : tls_(std::move(tls)),
        server_(std::move(server)),
        peer_(server_.ToString()),
        proxy_(std::move(proxy)),
        names_(server_, proxy_, name_servers) {}
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
  static MultiPtr NewMulti();
  static CURLcode ConfigureTls(CURL*, void* context, void* self);
  static int RefuseToResolve(void*, void*, void*) { return 1; }

  void Run();
  // False when it is time to stop.
  bool TakeJobs();
  // Those that the names let begin.
  void StartDue();
  void StartTransfer(Job job);
  // Those that wait to share a connection begin again, with one of their own.
  void Separate();
  void FinishTransfers();
  void Finish(CURL* easy, CURLcode code);
  void Release(Transfer& transfer);
  // Waits for the next thing to do.
  void Sleep();
  // Frees what the calls left behind, some time after the last one.
  void CleanUp();
  void Wake() const { ::eventfd_write(wake_.get(), 1); }
  absl::Status Outcome(Transfer& transfer, CURLcode code);
  void Answer(Job& job, absl::StatusOr<HttpResponse> result);

  const std::shared_ptr<const TlsContext> tls_;
  const HostPort server_;
  const std::string peer_;
  const std::optional<Proxy> proxy_;
  const ListPtr get_headers_ = Headers({"Accept:"});
  const ListPtr post_headers_ = Headers({"Accept:", "Expect:", "Content-Type: application/json"});
  CurlConnections connections_;  // of the thread only, and then of multi_'s end
  MultiPtr multi_;
  EasyPtr template_;
  Guarded<Inbox> inbox_;
  UniqueFd wake_;  // readable when the inbox has something new for the thread asleep

  // Of the thread only.
  CurlNames names_;
  std::multimap<Clock::time_point, Job> delayed_;
  std::vector<Job> due_;
  std::map<CURL*, std::unique_ptr<Transfer>> transfers_;
  bool shared_ = true;  // calls share a connection (HTTP/2), as far as is known
  Clock::time_point last_finish_;
  bool carried_secrets_ = false;  // some connection did, which may still be open
  Clock::time_point last_secret_;
  // Handles to use again; gone soon after the last call, with what their buffers hold.
  std::vector<EasyPtr> idle_;
  std::thread thread_;
};

absl::Status CurlClient::Loop::Start() {
  wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_) return ErrnoStatus(absl::StatusCode::kFailedPrecondition, "eventfd", errno);
  multi_ = NewMulti();
  if (!multi_) return absl::FailedPreconditionError("libcurl: no multi handle");
  OKMS_RETURN_IF_ERROR(MakeTemplate());
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

MultiPtr CurlClient::Loop::NewMulti() {
  MultiPtr multi(Curl().multi_init());
  if (multi) {
    Curl().multi_setopt(multi.get(), CURLMOPT_MAX_HOST_CONNECTIONS, kMaxConnections);
    Curl().multi_setopt(multi.get(), CURLMOPT_MAXCONNECTS, kMaxConnections);
  }
  return multi;
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
  set(CURLOPT_PROXY, proxy_ ? proxy_->url.c_str() : "");
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
  set(CURLOPT_CLOSESOCKETDATA, &connections_);
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

CURLcode CurlClient::Loop::ConfigureTls(CURL*, void* context, void* self) {
  const auto* loop = static_cast<const Loop*>(self);
  const absl::Status status =
      loop->tls_->CopyTo(static_cast<SSL_CTX*>(context), loop->server_.host);
  return status.ok() ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
}

CurlClient::Loop::~Loop() {
  if (!thread_.joinable()) return;
  inbox_.With([](Inbox& inbox) { inbox.stopping = true; });
  Wake();
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
    Wake();
  }
}

void CurlClient::Loop::Run() {
  while (TakeJobs()) {
    names_.Process();
    StartDue();
    int running = 0;
    connections_.Cork();
    const bool was_shared = shared_;
    Curl().multi_perform(multi_.get(), &running);
    connections_.Uncork();
    FinishTransfers();
    if (was_shared && !shared_) {
      Separate();
      continue;
    }
    // What was added meanwhile must not wait.
    const bool sleep = inbox_.With(
        [](Inbox& inbox) { return inbox.asleep = inbox.jobs.empty() && !inbox.stopping; });
    if (sleep) Sleep();
    CleanUp();
  }
  const absl::Status stopping = absl::CancelledError("the plugin is stopping");
  for (auto& [easy, transfer] : transfers_) {
    Curl().multi_remove_handle(multi_.get(), easy);
    Answer(transfer->job, stopping);
  }
  transfers_.clear();
  for (Job& job : due_) Answer(job, stopping);
  for (auto& [time, job] : delayed_) Answer(job, stopping);
}

void CurlClient::Loop::Sleep() {
  auto wake = std::min(Clock::now() + kNothingToDo, names_.NextTime());
  if (!delayed_.empty()) wake = std::min(wake, delayed_.begin()->first);
  for (const Job& job : due_) wake = std::min(wake, job.deadline);
  for (const auto& [easy, transfer] : transfers_) {
    wake = std::min(wake, transfer->job.deadline + kLate);
  }
  if (transfers_.empty()) {
    if (!idle_.empty()) wake = std::min(wake, last_finish_ + kRest);
    if (carried_secrets_) wake = std::min(wake, last_secret_ + kRest);
  }
  std::vector<curl_waitfd> others{{wake_.get(), CURL_WAIT_POLLIN, 0}};
  // CURL_WAIT_POLLIN and its kin have the values of POLLIN and its kin.
  for (const pollfd& entry : names_.Descriptors()) others.push_back({entry.fd, entry.events, 0});
  Curl().multi_poll(multi_.get(), others.data(), static_cast<unsigned>(others.size()),
                    PollTimeout(wake), nullptr);
  eventfd_t ignored = 0;
  if (others.front().revents != 0) ::eventfd_read(wake_.get(), &ignored);
}

void CurlClient::Loop::CleanUp() {
  if (!transfers_.empty()) return;
  const auto now = Clock::now();
  if (now >= last_finish_ + kRest) idle_.clear();
  if (!carried_secrets_ || now < last_secret_ + kRest) return;
  // The buffers of an open connection keep what came last. libcurl has no call to close idle ones,
  // but they go with their multi handle.
  idle_.clear();
  if (MultiPtr fresh = NewMulti()) {
    multi_ = std::move(fresh);
    carried_secrets_ = false;
  } else {
    last_secret_ = now;  // to try again
  }
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
    job.due = now;
    due_.push_back(std::move(job));
    names_.Refresh();
  }
  return true;
}

void CurlClient::Loop::StartDue() {
  std::vector<Job> waiting;
  for (Job& job : std::exchange(due_, {})) {
    const absl::StatusOr<bool> ready = names_.Ready(job.deadline);
    if (!ready.ok()) {
      Answer(job, ready.status());
    } else if (*ready) {
      StartTransfer(std::move(job));
    } else {
      waiting.push_back(std::move(job));
    }
  }
  due_ = std::move(waiting);
}

void CurlClient::Loop::StartTransfer(Job job) {
  if (Expired(job.deadline)) {
    Answer(job, absl::DeadlineExceededError(absl::StrCat(peer_, ": no answer in time")));
    return;
  }
  auto transfer = std::make_unique<Transfer>();
  transfer->connections = &connections_;
  transfer->shared = &shared_;
  transfer->started = Clock::now();
  if (idle_.empty()) {
    transfer->easy.reset(Curl().easy_duphandle(template_.get()));
  } else {
    transfer->easy = std::move(idle_.back());
    idle_.pop_back();
  }
  transfer->addresses = names_.Entries();
  CURL* easy = transfer->easy.get();
  const HttpRequest& request = *job.request;
  bool ok = easy != nullptr;
  const auto set = [&](CURLoption option, auto value) {
    ok = ok && Curl().easy_setopt(easy, option, value) == CURLE_OK;
  };
  set(CURLOPT_URL, request.url.c_str());
  set(CURLOPT_RESOLVE, transfer->addresses.get());
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
  // A call waits for the first connection's handshake, to share it if it is HTTP/2.
  set(CURLOPT_PIPEWAIT, shared_ ? 1L : 0L);
  set(CURLOPT_SOCKOPTDATA, transfer.get());
  set(CURLOPT_PREREQDATA, transfer.get());
  set(CURLOPT_WRITEDATA, transfer.get());
  set(CURLOPT_ERRORBUFFER, transfer->error.data());
  ok = ok && Curl().multi_add_handle(multi_.get(), easy) == CURLM_OK;
  if (!ok) {
    Answer(job, absl::InternalError("libcurl does not take the request"));
    return;
  }
  carried_secrets_ = carried_secrets_ || request.secret;
  transfer->job = std::move(job);
  transfers_.emplace(easy, std::move(transfer));
}

// libcurl (8.20, for one) would let them wait on, for one of the others to end.
void CurlClient::Loop::Separate() {
  std::erase_if(transfers_, [this](auto& entry) {
    Transfer& transfer = *entry.second;
    if (!transfer.waits) return false;
    Release(transfer);
    due_.push_back(std::move(transfer.job));
    return true;
  });
  std::sort(due_.begin(), due_.end(), [](const Job& a, const Job& b) { return a.due < b.due; });
}

void CurlClient::Loop::Release(Transfer& transfer) {
  CURL* easy = transfer.easy.get();
  Curl().multi_remove_handle(multi_.get(), easy);
  // These are the transfer's.
  Curl().easy_setopt(easy, CURLOPT_ERRORBUFFER, nullptr);
  Curl().easy_setopt(easy, CURLOPT_RESOLVE, nullptr);
  idle_.push_back(std::move(transfer.easy));
}

void CurlClient::Loop::FinishTransfers() {
  int left = 0;
  while (const CURLMsg* message = Curl().multi_info_read(multi_.get(), &left)) {
    if (message->msg == CURLMSG_DONE) Finish(message->easy_handle, message->data.result);
  }
  // Those that wait for a connection libcurl (7.88, for one) lets wait beyond their time.
  std::vector<CURL*> late;
  const auto now = Clock::now();
  for (const auto& [easy, transfer] : transfers_) {
    if (now >= transfer->job.deadline + kLate) late.push_back(easy);
  }
  for (CURL* easy : late) Finish(easy, CURLE_OPERATION_TIMEDOUT);
}

void CurlClient::Loop::Finish(CURL* easy, CURLcode code) {
  const auto found = transfers_.find(easy);
  const std::unique_ptr<Transfer> transfer = std::move(found->second);
  transfers_.erase(found);
  const absl::Status status = Outcome(*transfer, code);
  TellEnd(*transfer, status);
  Release(*transfer);
  last_finish_ = Clock::now();
  if (transfer->job.request->secret) last_secret_ = last_finish_;
  if (status.ok()) {
    Answer(transfer->job, std::move(transfer->response));
  } else {
    Answer(transfer->job, status);
  }
}

absl::Status CurlClient::Loop::Outcome(Transfer& transfer, CURLcode code) {
  CURL* easy = transfer.easy.get();
  if (code == CURLE_OPERATION_TIMEDOUT) connections_.CloseIfSilent(easy, transfer.started);
  if (transfer.too_large) {
    return absl::DataLossError(
        absl::StrCat(peer_, ": an answer of more than ", kMaxAnswer, " bytes"));
  }
  if (code != CURLE_OK) names_.Suspect();
  if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY ||
      code == CURLE_ABORTED_BY_CALLBACK) {
    return names_.Failure(code, transfer.error.data());
  }
  if (code != CURLE_OK) return TransferError(easy, code, transfer.error.data(), server_);

  connections_.Heard(easy);
  ReadHead(easy, transfer.response);
  return absl::OkStatus();
}

void CurlClient::Loop::Answer(Job& job, absl::StatusOr<HttpResponse> result) {
  inbox_.With([](Inbox& inbox) { --inbox.under_way; });
  job.done(std::move(result));
}

absl::StatusOr<std::unique_ptr<CurlClient>> CurlClient::Create(
    std::shared_ptr<const TlsContext> tls, HostPort server, std::optional<Proxy> proxy,
    const std::string& name_servers) {
  OKMS_RETURN_IF_ERROR(LoadLibCurl());
  auto loop =
      std::make_unique<Loop>(std::move(tls), std::move(server), std::move(proxy), name_servers);
  OKMS_RETURN_IF_ERROR(loop->Start());
  return std::unique_ptr<CurlClient>(new CurlClient(std::move(loop)));
}

CurlClient::CurlClient(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
CurlClient::~CurlClient() = default;

void CurlClient::Send(std::shared_ptr<const HttpRequest> request, Clock::time_point earliest,
                      Deadline deadline, Done<HttpResponse> done) {
  loop_->Add({std::move(request), earliest, deadline, std::move(done), {}});
}

}  // namespace okms::http
