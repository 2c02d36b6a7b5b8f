// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The start-up order, on one screen. Whatever is wrong with the configuration ends the process
// here, with a line for each mistake; whatever is wrong with the KMS does not: the socket is served
// at once, and Status tells the reason until it is gone.

#include <malloc.h>
#include <string.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/debug.h"
#include "base/log.h"
#include "base/log_queue.h"
#include "base/status.h"
#include "base/thread_room.h"
#include "base/utf8.h"
#include "base/wiping_heap.h"
#include "check_config.h"
#include "config/config.h"
#include "config/environment.h"
#include "control/event_loop.h"
#include "control/service_manager.h"
#include "control/watchdog.h"
#include "core/annotated_backend.h"
#include "core/health.h"
#include "core/key_manager.h"
#include "core/shared_decrypts.h"
#include "http/curl_client.h"
#include "http/libcurl.h"
#include "http/proxy.h"
#include "http/retrying_client.h"
#include "kmip/kmip_backend.h"
#include "net/address.h"
#include "net/credentials.h"
#include "net/https_url.h"
#include "net/io_loop.h"
#include "net/lookup.h"
#include "net/lost_files.h"
#include "net/tls_connector.h"
#include "net/tls_context.h"
#include "rest/rest_backend.h"
#include "rest/service_key.h"
#include "sandbox/confine.h"
#include "sandbox/landlock.h"
#include "sandbox/privileges.h"
#include "service/kms_server.h"
#include "service/listen_socket.h"
#include "service/listener.h"
#include "service/socket_file.h"
#include "version.h"

namespace okms {
namespace {

constexpr int kRunTimeError = 1;
constexpr int kUsageError = 2;

// How late work may be before the watchdog takes it for stuck, over and above --timeout: behind
// calls that take all of their time, one with less of it waits for as long as that.
constexpr std::chrono::seconds kLate{5};

// How often to look whether the files of the name service are still in reach; twice before the end.
constexpr std::chrono::seconds kLookInterval{5};

// Sixteen for the KMS, one for the log, some ten of gRPC's, which has more on a larger machine.
constexpr std::size_t kThreads = 40;

// Of glibc's malloc, which would make one for each of the first threads, eight times as many as
// there are processors: what is free in one is of no use to the others. Two cost no speed,
// measured, since each thread keeps small blocks for itself. Another malloc does not know of it.
constexpr int kArenas = 2;

// How long Status tells what is wrong with a file before the process ends, for systemd to start it
// anew. kube-apiserver asks each 10 seconds while it is not ready, so it hears of it each time; and
// after these, at the latest, a file that was put in place is read, which the sandbox forbids here.
constexpr std::chrono::seconds kServeTheReason{15};

constexpr char kReplaced[] =
    ": out of the sandbox's reach: this machine's /etc, or where that file is, was replaced after "
    "the start; ending, for the service manager to start it anew";

constexpr char kNothingIsReadAgain[] =
    ": nothing is read again while running; restart this service to apply changes";

constexpr char kOtherMalloc[] =
    "another malloc than the C library's is preloaded (LD_PRELOAD, /etc/ld.so.preload): what C++ "
    "code frees is overwritten only if it does so itself; start this service without it";

absl::StatusOr<ListenSocket> SocketOf(const Config& config, std::optional<ListenSocket> inherited) {
  if (inherited) return *std::move(inherited);
  return ListenSocket::Bind(config.socket, config.socket_group);
}

KeyPolicy KeyPolicyOf(const Config& config) {
  KeyName key = KeyId{config.key_id};
  if (!config.key_label.empty()) key = KeyLabel{config.key_label};
  return {std::move(key), config.timeout, config.label_grace};
}

absl::StatusOr<std::unique_ptr<Backend>> ProtocolOf(const Config& config,
                                                    std::shared_ptr<const TlsContext> tls,
                                                    const std::optional<http::Proxy>& proxy,
                                                    IoLoop& io) {
  if (config.protocol == Protocol::kKmip) {
    return std::make_unique<kmip::KmipBackend>(
        io, std::make_unique<TlsConnector>(io, config.server, std::move(tls)),
        config.max_connections);
  }
  const HttpsUrl url{config.rest_url, config.server};
  OKMS_ASSIGN_OR_RETURN(auto calls, http::CurlClient::Create(io, tls, url, proxy));
  OKMS_ASSIGN_OR_RETURN(auto checks, http::CurlClient::Create(io, tls, url, proxy));
  return std::make_unique<rest::RestBackend>(
      std::make_unique<http::RetryingClient>(std::move(calls)),
      std::make_unique<http::RetryingClient>(std::move(checks)),
      rest::ServiceKeyApi(config.rest_url, config.okms_id));
}

// `credentials` and `io` must outlive it.
absl::StatusOr<std::unique_ptr<Backend>> MakeBackend(const Config& config,
                                                     const Credentials& credentials,
                                                     const std::optional<http::Proxy>& proxy,
                                                     IoLoop& io) {
  const Credentials::Tls& tls = credentials.tls();
  if (!tls.ok()) {
    return std::make_unique<NoBackend>(WithCode(tls.status(), absl::StatusCode::kUnauthenticated));
  }
  OKMS_ASSIGN_OR_RETURN(std::unique_ptr<Backend> protocol, ProtocolOf(config, *tls, proxy, io));
  auto annotated = std::make_unique<AnnotatedBackend>(
      std::move(protocol), [&credentials] { return credentials.Trouble(); });
  return std::make_unique<SharedDecrypts>(std::move(annotated));
}

// What the running plugin must still be able to reach.
sandbox::Reach ReachOf(const Config& config, const std::optional<http::Proxy>& proxy) {
  constexpr uint16_t kDnsPort = 53;  // for answers that do not fit a datagram
  std::vector<HostPort> hosts = {config.server};
  if (proxy && proxy->server) hosts.push_back(*proxy->server);
  sandbox::Reach reach;
  bool names = false;
  for (const HostPort& host : hosts) {
    reach.tcp_ports.push_back(host.port);
    names = names || !ParseAddress(host);
  }
  if (names) {
    for (const ResolverFile& file : ResolverFiles()) reach.files.emplace_back(file.path);
    reach.tcp_ports.push_back(kDnsPort);
  }
  return reach;
}

// Without it the service works just as well; systemd will say that it waits for READY=1.
ServiceManager ConnectManager(const Logger& log) {
  absl::StatusOr<ServiceManager> manager = ServiceManager::Connect();
  if (!manager.ok()) log.Warning(manager.status().message());
  return manager.ok() ? *std::move(manager) : ServiceManager();
}

// The state for `systemctl status`, when it has changed: each second while the KMS is away.
void NotifyState(const ServiceManager& manager, const KeyManager& keys, absl::string_view more,
                 std::string& last) {
  std::string state = absl::StrCat("STATUS=", StatusLine(keys.Current(), Clock::now(), more));
  if (state == last) return;
  manager.Notify(state);
  last = std::move(state);
}

// A socket file that is gone, once in the log and as long as it lasts in `state`. Who is connected
// stays so: that is no reason to end, nor to fail Status.
void LookAtSocket(const ListenSocket& socket, const SocketFile& file, const Logger& log,
                  std::string& state) {
  const std::string what = file.Look();
  const std::string now =
      what.empty() ? "" : absl::StrCat("; NOBODY CAN CONNECT: ", socket.path(), " ", what);
  if (now == state) return;
  state = now;
  if (what.empty()) {
    log.Notice(absl::StrCat(socket.path(), ": our socket file is there again"));
    return;
  }
  log.Error(absl::StrCat(socket.path(), ": our socket file ", what,
                         ": nobody can connect any more; ",
                         socket.from_systemd() ? "restart the socket unit, this service with it"
                                               : "restart this service"));
}

// Why it does not start, or has ended, for `systemctl status`, which shows it until the next start.
void NotifyEnd(const ServiceManager& manager, const absl::Status& why) {
  manager.Notify(absl::StrCat("STATUS=ended: ", OneLine(why.message())));
}

absl::Status Run(const Config& config, LogQueue& log_queue, const Logger& log,
                 const ServiceManager& manager) {
  const DebugTo debug(log);
  Credentials credentials(TlsContext::Create(config.tls));
  const absl::Status unusable = credentials.tls().status();
  if (unusable.ok()) {
    for (const std::string& warning : (*credentials.tls())->warnings()) log.Warning(warning);
  }
  if (!HeapIsWiped()) log.Warning(kOtherMalloc);
  OKMS_ASSIGN_OR_RETURN(std::optional<ListenSocket> inherited, ListenSocket::FromSystemd());
  // Where systemd holds the socket, who connects is told.
  if (!inherited) OKMS_RETURN_IF_ERROR(unusable);
  OKMS_ASSIGN_OR_RETURN(const ListenSocket socket, SocketOf(config, std::move(inherited)));
  const SocketFile socket_file(socket.path());
  OKMS_ASSIGN_OR_RETURN(const std::unique_ptr<EventLoop> loop, EventLoop::Create());

  if (const absl::Status room = KmsServer::ReserveDescriptors(); !room.ok()) {
    log.Warning(room.message());
  }
  PeerPolicy policy{config.allowed_uids, config.allowed_gids};
  for (const std::string& warning : policy.ForgetUnknown()) log.Warning(warning);
  std::optional<http::Proxy> proxy;
  if (config.protocol == Protocol::kRest) {
    OKMS_RETURN_IF_ERROR(http::LoadLibCurl());
    proxy = http::ProxyFor(config.server);
  }
  const sandbox::Reach reach = ReachOf(config, proxy);
  OKMS_ASSIGN_OR_RETURN(const sandbox::Confinement confinement,
                        sandbox::Confine(config.user, reach));
  OKMS_RETURN_IF_ERROR(CheckThreadRoom(kThreads));
  log_queue.Start();
  if (confinement.account.borrowed) {
    log.Notice(absl::StrCat("there is no user ", sandbox::kDefaultUser, ": running as the free id ",
                            confinement.account.uid,
                            "; create that user, or name one with --user"));
  }
  OKMS_ASSIGN_OR_RETURN(const std::unique_ptr<IoLoop> io, IoLoop::Create());
  OKMS_ASSIGN_OR_RETURN(std::unique_ptr<Backend> backend,
                        MakeBackend(config, credentials, proxy, *io));
  KeyManager keys(std::move(backend), log, KeyPolicyOf(config));
  OKMS_ASSIGN_OR_RETURN(const std::unique_ptr<KmsServer> server,
                        KmsServer::Start(keys, log, config.timeout));

  policy.AllowDefaults(!confinement.account.borrowed);  // now that it is known who we are
  Listener listener(socket.fd(), std::move(policy), log,
                    [&](UniqueFd connection) { return server->Serve(std::move(connection)); });
  OKMS_RETURN_IF_ERROR(loop->OnReadable(socket.fd(), [&] { return listener.Accept(); }));
  for (const int signal : kStopSignals) {
    OKMS_RETURN_IF_ERROR(loop->OnSignal(signal, [&](int received) {
      log.Info(absl::StrCat("stopping: ", ::strsignal(received)));
      loop->Exit();
    }));
  }
  for (const int signal : kNotedSignals) {
    OKMS_RETURN_IF_ERROR(loop->OnSignal(signal, [&](int received) {
      log.Notice(absl::StrCat("SIG", ::sigabbrev_np(received), kNothingIsReadAgain));
    }));
  }
  std::string state;
  std::string unreachable;
  OKMS_RETURN_IF_ERROR(loop->Repeat([&] {
    const Deadline next = keys.Tick();
    credentials.Tick(log);
    const std::string summary = credentials.Summary();
    NotifyState(
        manager, keys,
        absl::StrCat(unreachable, summary.empty() ? "" : "; ", summary, "; ", confinement.landlock),
        state);
    return next;
  }));
  OKMS_RETURN_IF_ERROR(loop->Repeat([&] {
    LookAtSocket(socket, socket_file, log, unreachable);
    return Clock::now() + kLookInterval;
  }));
  absl::Status end;
  const Deadline give_up = unusable.ok() ? Deadline::max() : Clock::now() + kServeTheReason;
  OKMS_RETURN_IF_ERROR(loop->Repeat([&] {
    if (Expired(give_up)) {
      end = unusable;
      loop->Exit();
    }
    return give_up;
  }));
  LostFiles resolver_files(reach.files);
  OKMS_RETURN_IF_ERROR(loop->Repeat([&] {
    if (const std::string lost = resolver_files.Look(); !lost.empty()) {
      end = absl::UnavailableError(absl::StrCat(lost, kReplaced));
      loop->Exit();
    }
    return Clock::now() + kLookInterval;
  }));
  OKMS_RETURN_IF_ERROR(loop->Repeat([&] { return server->Tick(); }));
  Watchdog watchdog({{"a call", [&] { return server->CallDeadline(); }},
                     {"a check of the key", [&] { return keys.CheckDeadline(); }},
                     {"gRPC", [&] { return server->ProbeDeadline(); }}},
                    config.timeout + kLate, log, [&] { manager.Notify("WATCHDOG=1"); });
  if (const auto interval = Watchdog::Interval()) {
    OKMS_RETURN_IF_ERROR(loop->Repeat([&, interval] {
      watchdog.Tick();
      return Clock::now() + *interval;
    }));
  }

  // Not a byte from outside has been read yet.
  OKMS_RETURN_IF_ERROR(sandbox::FilterSystemCalls());
  keys.Tick();  // the first check, for whose verdict the first calls wait
  log.Info(
      absl::StrCat("version ", kVersion, " serves ", socket.name(), ", KMS at ",
                   config.protocol == Protocol::kKmip ? config.server.ToString() : config.rest_url,
                   "; ", confinement.all));
  // Without the files it is not, and a restart that was asked for must be seen to fail.
  if (unusable.ok()) manager.Notify("READY=1");
  end.Update(loop->Run());
  // Calls under way may take longer than a unit's TimeoutStopSec=, which cannot know --timeout.
  manager.Notify(absl::StrCat("STOPPING=1\nEXTEND_TIMEOUT_USEC=",
                              absl::ToInt64Microseconds(absl::FromChrono(config.timeout + kLate))));
  keys.Stop();
  // Calls under way are bounded by their own deadlines, which --timeout bounds.
  server->Shutdown(Clock::now() + config.timeout);
  return end;
}

int Main(const std::vector<std::string>& argv) {
  ::mallopt(M_ARENA_MAX, kArenas);  // before there is a second thread
  const std::vector<std::string> cleared = ClearEnvironment();
  if (const absl::Status status = BlockSignals(); !status.ok()) {
    Logger(false).Error(status.message());
    return kRunTimeError;
  }
  auto parsed = ParseConfig(argv);
  if (!parsed.ok()) {
    for (const absl::string_view mistake : absl::StrSplit(parsed.status().message(), '\n')) {
      Logger(false).Error(mistake);
    }
    if (const auto manager = ServiceManager::Connect(); manager.ok()) {
      NotifyEnd(*manager, absl::InvalidArgumentError(
                              absl::StrReplaceAll(parsed.status().message(), {{"\n", "; "}})));
    }
    return kUsageError;
  }
  if (const auto* printout = std::get_if<Printout>(&*parsed)) {
    const bool written =
        std::fputs(printout->text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
    return written ? EXIT_SUCCESS : kRunTimeError;
  }
  const Config& config = std::get<Config>(*parsed);
  LogQueue log_queue(StandardError());
  const Logger log(config.debug, log_queue.sink());
  if (!cleared.empty()) {
    log.Notice(absl::StrCat("variables of the environment that are not used: ",
                            absl::StrJoin(cleared, ", ")));
  }
  for (const std::string& warning : config.warnings) log.Warning(warning);
  QuietLibraries();
  if (config.check_only) return CheckConfig(config, log) ? EXIT_SUCCESS : kRunTimeError;
  const ServiceManager manager = ConnectManager(log);
  if (const absl::Status status = Run(config, log_queue, log, manager); !status.ok()) {
    log.Error(status.message());
    NotifyEnd(manager, status);
    return kRunTimeError;
  }
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace okms

int main(int argc, char** argv) {
  try {
    return okms::Main({argv, argv + argc});
  } catch (const std::exception& error) {  // out of memory, for one
    okms::Logger(false).Error(error.what());
    return okms::kRunTimeError;
  }
}
