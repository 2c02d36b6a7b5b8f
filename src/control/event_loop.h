// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The one event loop: listening sockets, status pages, signals and timers, all on the main thread.

#ifndef OKMS_CONTROL_EVENT_LOOP_H_
#define OKMS_CONTROL_EVENT_LOOP_H_

#include <signal.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/deadline.h"

struct sd_event;
struct sd_event_source;

namespace okms {

// Not thread-safe. Callbacks run within Run and must not block.
class EventLoop {
 public:
  static absl::StatusOr<std::unique_ptr<EventLoop>> Create();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Calls `ready` whenever `fd` is readable. When it returns an error, the descriptor is left alone
  // for a second.
  absl::Status OnReadable(int fd, std::function<absl::Status()> ready);

  // Calls `received` for each arrival. The signal must be blocked in every thread (BlockSignals).
  absl::Status OnSignal(int signal, std::function<void(int)> received);

  // Calls `tick` at once, and then each time at the time that it returned.
  absl::Status Repeat(std::function<Deadline()> tick);
  // Has each of them called soon: something is due that was not known before.
  void Hurry();

  // What the loop heeds for as long as this lives. It may go within its own callback. Must not
  // outlive the loop.
  class Watch {
   public:
    Watch() = default;

    // Of a descriptor: for EPOLLIN, EPOLLOUT or both; with 0 for nothing but its end.
    void Await(uint32_t events);
    // Of a timer: calls once at that time, or not at all (Deadline::max()).
    void At(Deadline time);

   private:
    friend class EventLoop;
    struct Unref {
      void operator()(sd_event_source* source) const;
    };
    std::unique_ptr<sd_event_source, Unref> source_;
  };

  // Calls `ready` while `fd` has one of `events`, or an error, or was closed by its peer. The
  // descriptor must stay open for as long as it is watched.
  absl::StatusOr<Watch> WatchDescriptor(int fd, uint32_t events, std::function<void()> ready);
  // A timer that is not set.
  absl::StatusOr<Watch> NewTimer(std::function<void()> elapsed);

  // Until Exit. Errors: kInternal.
  absl::Status Run();
  void Exit();

 private:
  struct Source;
  explicit EventLoop(sd_event* event);

  sd_event* event_;
  std::vector<std::unique_ptr<Source>> sources_;
};

// What signals mean here: the first kind ends the process in good order, one has files read again,
// and of the last kind, which other daemons take as an order, it says that it does nothing.
inline constexpr std::array kStopSignals{SIGTERM, SIGINT, SIGQUIT};
inline constexpr int kReloadSignal = SIGHUP;
inline constexpr std::array kNotedSignals{SIGUSR1, SIGUSR2};

// Blocks those for OnSignal, in this thread and those that it starts later, and ignores all others
// that would end the process and are not the kernel's word for a fault. Call it first of all:
// before any thread is started.
absl::Status BlockSignals();

}  // namespace okms

#endif  // OKMS_CONTROL_EVENT_LOOP_H_
