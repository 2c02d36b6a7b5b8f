// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Pages over HTTP, for whoever watches the plugin, on the event loop.

#ifndef OKMS_CONTROL_STATUS_SERVER_H_
#define OKMS_CONTROL_STATUS_SERVER_H_

#include <chrono>
#include <cstddef>
#include <list>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/deadline.h"
#include "base/log.h"
#include "base/unique_fd.h"
#include "control/event_loop.h"
#include "control/http_pages.h"
#include "control/status_connection.h"

namespace okms {

// Whoever connects costs a bounded amount: of memory and descriptors by the number of connections,
// of each of them by its own bounds, and of the loop's time by what is taken in one turn, after
// which all else that is due has its own. On the loop's thread, which is the only one. Its end
// closes all connections.
class StatusServer {
 public:
  static constexpr std::size_t kMostConnections = 16;
  static constexpr int kInOneTurn = 16;
  // How long a connection may keep a newcomer waiting, which the kernel does for us, when there are
  // as many as there may be. An answered one need not: whoever has the answer closes by itself.
  static constexpr std::chrono::seconds kGrace{1};

  // Serves from now on. `socket` is a non-blocking listening stream socket, which must outlive the
  // server, as must `loop` and `log`. Errors: kInternal.
  static absl::StatusOr<std::unique_ptr<StatusServer>> Start(EventLoop& loop, int socket,
                                                             HttpPages pages, const Logger& log);
  StatusServer(const StatusServer&) = delete;
  StatusServer& operator=(const StatusServer&) = delete;

 private:
  struct Client {
    Client(UniqueFd socket, const HttpPages& pages) : connection(std::move(socket), pages) {}

    StatusConnection connection;
    EventLoop::Watch watch;  // goes before the descriptor
  };
  using Clients = std::list<Client>;  // the oldest first

  StatusServer(EventLoop& loop, int socket, HttpPages pages, const Logger& log)
      : loop_(loop), socket_(socket), pages_(std::move(pages)), log_(log) {}

  void Accept();
  // Whether the next one may come in, for whom an old one may have to go.
  bool HasRoom();
  void TakeIn(UniqueFd connection);
  void Move(Clients::iterator client);
  void CloseExpired();
  // Takes in nobody until `time`, or until somebody has left.
  void PauseUntil(Deadline time);
  // To when something is to be done next.
  void SetTimer();
  void Failed(const absl::Status& status);

  EventLoop& loop_;
  const int socket_;
  const HttpPages pages_;
  const Logger& log_;
  Deadline paused_until_ = Deadline::max();
  Deadline next_report_;
  Clients clients_;
  EventLoop::Watch newcomers_;
  EventLoop::Watch timer_;
};

}  // namespace okms

#endif  // OKMS_CONTROL_STATUS_SERVER_H_
