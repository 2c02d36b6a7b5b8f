// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "control/status_server.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include "base/status.h"

namespace okms {
namespace {

// When the process has no descriptor left, and how often that is said.
constexpr std::chrono::seconds kPause{1};
constexpr std::chrono::seconds kReportInterval{10};

}  // namespace

absl::StatusOr<std::unique_ptr<StatusServer>> StatusServer::Start(EventLoop& loop, int socket,
                                                                  HttpPages pages,
                                                                  const Logger& log) {
  std::unique_ptr<StatusServer> server(new StatusServer(loop, socket, std::move(pages), log));
  StatusServer* const self = server.get();
  OKMS_ASSIGN_OR_RETURN(self->newcomers_,
                        loop.WatchDescriptor(socket, EPOLLIN, [self] { self->Accept(); }));
  OKMS_ASSIGN_OR_RETURN(self->timer_, loop.NewTimer([self] { self->CloseExpired(); }));
  return server;
}

void StatusServer::Accept() {
  for (int turn = 0; turn < kInOneTurn && HasRoom(); ++turn) {
    UniqueFd connection(::accept4(socket_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (connection) {
      TakeIn(std::move(connection));
    } else if (errno == EAGAIN) {
      break;
    } else if (errno != EINTR && errno != ECONNABORTED && errno != EPERM) {
      Failed(ErrnoStatus(absl::StatusCode::kResourceExhausted, "accept", errno));
      PauseUntil(Clock::now() + kPause);
      break;
    }
  }
  SetTimer();
}

bool StatusServer::HasRoom() {
  if (clients_.size() < kMostConnections) return true;
  auto oldest = std::find_if(clients_.begin(), clients_.end(),
                             [](const Client& client) { return client.connection.answered(); });
  if (oldest == clients_.end()) oldest = clients_.begin();
  const Deadline leaves = oldest->connection.since() + kGrace;
  if (!oldest->connection.answered() && !Expired(leaves)) {
    PauseUntil(leaves);
    return false;
  }
  clients_.erase(oldest);
  return true;
}

void StatusServer::TakeIn(UniqueFd connection) {
  const auto client = clients_.emplace(clients_.end(), std::move(connection), pages_);
  // Most have sent their request by now, and need not be watched.
  if (!client->connection.Move()) {
    clients_.erase(client);
    return;
  }
  absl::StatusOr<EventLoop::Watch> watch = loop_.WatchDescriptor(
      client->connection.fd(), client->connection.wanted(), [this, client] { Move(client); });
  if (watch.ok()) {
    client->watch = *std::move(watch);
    return;
  }
  Failed(watch.status());
  clients_.erase(client);
}

void StatusServer::Move(Clients::iterator client) {
  if (client->connection.Move()) {
    client->watch.Await(client->connection.wanted());
  } else {
    clients_.erase(client);
    PauseUntil(Deadline::max());
  }
  SetTimer();
}

void StatusServer::CloseExpired() {
  std::erase_if(clients_,
                [](const Client& client) { return Expired(client.connection.deadline()); });
  PauseUntil(Deadline::max());
  SetTimer();
}

void StatusServer::PauseUntil(Deadline time) {
  paused_until_ = time;
  newcomers_.Await(time == Deadline::max() ? uint32_t{EPOLLIN} : 0U);
}

void StatusServer::SetTimer() {
  Deadline next = paused_until_;
  for (const Client& client : clients_) next = std::min(next, client.connection.deadline());
  timer_.At(next);
}

void StatusServer::Failed(const absl::Status& status) {
  if (!Expired(next_report_)) return;
  log_.Warning(EventName::kStatusPagesTrouble, Describe(Annotate(status, "status pages")));
  next_report_ = Clock::now() + kReportInterval;
}

}  // namespace okms
