// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The start-up order, on one screen. Whatever is wrong with this machine ends the process here,
// with a line; whatever is wrong with the KMS does not: the socket is served at once, and Status
// tells the reason until it is gone.

#include "app/run.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "app/bus.h"
#include "app/key_file.h"
#include "app/kms.h"
#include "app/process.h"
#include "app/readiness.h"
#include "app/reload.h"
#include "app/report.h"
#include "app/signals.h"
#include "app/socket.h"
#include "app/status_pages.h"
#include "app/status_socket.h"
#include "app/ticks.h"
#include "base/debug.h"
#include "base/status.h"
#include "base/wiping_heap.h"
#include "control/event_loop.h"
#include "sandbox/confine.h"
#include "service/kms_server.h"
#include "service/listener.h"
#include "version.h"

namespace okms {

absl::Status Run(const Config& config, LogQueue& log_queue, const RecentEvents& recent,
                 const Logger& log, ServiceState& state) {
  const DebugTo debug(log);
  Credentials credentials(config.tls);
  const absl::Status unusable = credentials.tls().status();
  if (unusable.ok()) log.Warnings(EventName::kCertificateWarning, (*credentials.tls())->warnings());
  if (!HeapIsWiped()) log.Warning(EventName::kStartWarning, kHeapIsNotWiped);
  OKMS_ASSIGN_OR_RETURN(PassedSockets passed, ListenSocket::FromSystemd());
  OKMS_ASSIGN_OR_RETURN(const ListenSocket socket,
                        OpenSocket(std::move(passed.kms), config, unusable));
  const StatusSocket pages = OpenStatusSocket(passed, config, log);
  BusSocket bus_socket = OpenBus(log);
  SocketWatch socket_watch(socket, log);
  OKMS_ASSIGN_OR_RETURN(const std::unique_ptr<EventLoop> loop, EventLoop::Create());
  log.WarnIfError(EventName::kStartWarning, KmsServer::ReserveDescriptors());
  PeerPolicy policy{config.allowed_uids, config.allowed_gids};
  log.Warnings(EventName::kConfigurationWarning, policy.ForgetUnknown());
  OKMS_ASSIGN_OR_RETURN(const sandbox::Reach reach, ReachOf(config));

  OKMS_ASSIGN_OR_RETURN(const sandbox::Confinement confinement,
                        sandbox::Confine(config.user, reach));
  OKMS_RETURN_IF_ERROR(CheckThreads());
  log_queue.Start();
  if (confinement.account.borrowed)
    log.Notice(EventName::kStartWarning, confinement.account.Advice());
  if (unusable.ok()) {
    log.WarnIfError(EventName::kCertificateWarning, credentials.CheckReadAgain());
  }
  OKMS_ASSIGN_OR_RETURN(const std::unique_ptr<IoLoop> io, IoLoop::Create());
  OKMS_ASSIGN_OR_RETURN(Kms kms, MakeKms(config, credentials, log, *io));
  KeyManager keys(std::move(kms.backend), log, KeyPolicyOf(config));
  OKMS_ASSIGN_OR_RETURN(const std::unique_ptr<KmsServer> server,
                        KmsServer::Start(keys, log, config.timeout));
  policy.AllowDefaults(!confinement.account.borrowed);  // now that it is known who we are
  Listener listener(socket.fd(), std::move(policy), log,
                    [&](UniqueFd connection) { return server->Serve(std::move(connection)); });
  OKMS_RETURN_IF_ERROR(loop->OnReadable(socket.fd(), [&] { return listener.Accept(); }));
  Reload reload({credentials, kms.servers, HostMaker(config, *kms.counters, *io),
                 [&] { return keys.Current(); }, state, log, config.timeout});
  KeyFile key_file(config, log, [&](KeyId name) { keys.SetName(std::move(name)); });
  OKMS_RETURN_IF_ERROR(HeedSignals(*loop, log, key_file, reload));
  Readiness readiness;
  const ReportSources sources{config,        confinement, log_queue, recent,   credentials,
                              keys,          kms,         reload,    key_file, socket_watch,
                              pages.trouble, readiness,   listener,  *server};
  const auto report = [&] { return MakeReport(sources); };
  OKMS_ASSIGN_OR_RETURN(
      std::unique_ptr<StatusServer> status_server,
      ServePages(
          pages, *loop,
          [&] { return readiness.At(keys.Current(), socket_watch.trouble(), Clock::now()); },
          report, log));
  std::unique_ptr<Bus> bus = Bus::Serve(
      std::move(bus_socket), *loop,
      {report, [&] { keys.CheckSoon(); }, [&] { ReadAgain(*loop, key_file, reload); }}, log);
  Ticks ticks({config, log, *loop, credentials, keys, *server, socket_watch, readiness, key_file,
               reload, state, reach, bus.get(),
               [&](const Health& health) { return StateLine(sources, health); }});
  OKMS_RETURN_IF_ERROR(ticks.Begin());

  // Not a byte from outside has been read yet.
  OKMS_RETURN_IF_ERROR(sandbox::FilterSystemCalls());
  keys.Tick();  // the first check, for whose verdict the first calls wait
  log.Info(EventName::kStarted, absl::StrCat("version ", kVersion, " serves ", socket.name(),
                                             ", KMS at ", config.KmsName(), "; ", confinement.all));
  // Without the files it is not, and a restart that was asked for must be seen to fail.
  if (unusable.ok()) state.Ready();
  const absl::Status broken = loop->Run();
  status_server.reset();  // who watches does not hold up the end
  bus.reset();
  state.Stopping(config.timeout + kLate);
  keys.Stop();
  // Calls under way are bounded by their own deadlines, which --timeout bounds.
  server->Shutdown(Clock::now() + config.timeout);
  return ticks.end().ok() ? broken : ticks.end();
}

}  // namespace okms
