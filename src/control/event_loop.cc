// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "control/event_loop.h"

#include <signal.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status.h"

namespace okms {
namespace {

constexpr std::chrono::microseconds kPause{1'000'000};
constexpr uint64_t kFarAway = uint64_t{1} << 60U;  // microseconds; some 36,000 years

absl::Status Check(int result, absl::string_view what) {
  if (result >= 0) return absl::OkStatus();
  return ErrnoStatus(absl::StatusCode::kInternal, what, -result);
}

// steady_clock is CLOCK_MONOTONIC, in whose microseconds sd-event counts.
uint64_t Microseconds(Deadline time) {
  const auto since_boot =
      std::chrono::ceil<std::chrono::microseconds>(time.time_since_epoch()).count();
  return static_cast<uint64_t>(std::max<decltype(since_boot)>(since_boot, 0));
}

using Callback = std::function<void()>;

int OnDescriptor(sd_event_source*, int, uint32_t, void* callback) {
  (*static_cast<Callback*>(callback))();
  return 0;
}

int OnTime(sd_event_source*, uint64_t, void* callback) {
  (*static_cast<Callback*>(callback))();
  return 0;
}

// sd-event lets go of a source, and of what belongs to it, when its callback is over: so what a
// callback runs in is there until then, even when it gives up its own watch.
void Leave(sd_event_source* source, std::unique_ptr<Callback> callback) {
  sd_event_source_set_destroy_callback(source,
                                       [](void* owned) { delete static_cast<Callback*>(owned); });
  callback.release();
}

}  // namespace

struct EventLoop::Source {
  std::function<absl::Status()> ready;
  std::function<void(int)> received;
  std::function<Deadline()> tick;
  sd_event_source* source = nullptr;
  sd_event_source* pause = nullptr;

  ~Source() {
    sd_event_source_disable_unref(source);
    sd_event_source_disable_unref(pause);
  }

  static int Readable(sd_event_source*, int, uint32_t, void* self_pointer) {
    auto& self = *static_cast<Source*>(self_pointer);
    if (self.ready().ok()) return 0;
    sd_event_source_set_enabled(self.source, SD_EVENT_OFF);
    sd_event_source_set_time(self.pause, Microseconds(Clock::now() + kPause));
    return sd_event_source_set_enabled(self.pause, SD_EVENT_ONESHOT);
  }
  static int PauseOver(sd_event_source*, uint64_t, void* self_pointer) {
    return sd_event_source_set_enabled(static_cast<Source*>(self_pointer)->source, SD_EVENT_ON);
  }
  static int Signalled(sd_event_source*, const signalfd_siginfo* info, void* self_pointer) {
    static_cast<Source*>(self_pointer)->received(static_cast<int>(info->ssi_signo));
    return 0;
  }
  static int Ticked(sd_event_source* source, uint64_t, void* self_pointer) {
    const Deadline next = static_cast<Source*>(self_pointer)->tick();
    sd_event_source_set_time(source, Microseconds(next));
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
  }
};

absl::StatusOr<std::unique_ptr<EventLoop>> EventLoop::Create() {
  sd_event* event = nullptr;
  OKMS_RETURN_IF_ERROR(Check(sd_event_new(&event), "event loop"));
  std::unique_ptr<EventLoop> loop(new EventLoop(event));
  // sd-event reads the machine's ids when it arms its first timer, by whatever calls its release
  // has for that: now, since a running plugin may not.
  sd_event_source* timer = nullptr;
  OKMS_RETURN_IF_ERROR(Check(sd_event_add_time(event, &timer, CLOCK_MONOTONIC, kFarAway, 0,
                                               /*callback=*/nullptr, nullptr),
                             "event loop: timer"));
  const int ran = sd_event_run(event, /*timeout=*/0);
  sd_event_source_disable_unref(timer);
  OKMS_RETURN_IF_ERROR(Check(ran, "event loop: first run"));
  return loop;
}

EventLoop::EventLoop(sd_event* event) : event_(event) {}

EventLoop::~EventLoop() {
  sources_.clear();
  sd_event_unref(event_);
}

absl::Status EventLoop::OnReadable(int fd, std::function<absl::Status()> ready) {
  auto source = std::make_unique<Source>();
  source->ready = std::move(ready);
  OKMS_RETURN_IF_ERROR(
      Check(sd_event_add_io(event_, &source->source, fd, EPOLLIN, Source::Readable, source.get()),
            "event loop: descriptor"));
  OKMS_RETURN_IF_ERROR(Check(sd_event_add_time(event_, &source->pause, CLOCK_MONOTONIC, 0, 0,
                                               Source::PauseOver, source.get()),
                             "event loop: timer"));
  OKMS_RETURN_IF_ERROR(
      Check(sd_event_source_set_enabled(source->pause, SD_EVENT_OFF), "event loop: timer"));
  sources_.push_back(std::move(source));
  return absl::OkStatus();
}

absl::Status EventLoop::OnSignal(int signal, std::function<void(int)> received) {
  auto source = std::make_unique<Source>();
  source->received = std::move(received);
  OKMS_RETURN_IF_ERROR(
      Check(sd_event_add_signal(event_, &source->source, signal, Source::Signalled, source.get()),
            "event loop: signal"));
  sources_.push_back(std::move(source));
  return absl::OkStatus();
}

absl::Status EventLoop::Repeat(std::function<Deadline()> tick) {
  auto source = std::make_unique<Source>();
  source->tick = std::move(tick);
  OKMS_RETURN_IF_ERROR(Check(sd_event_add_time(event_, &source->source, CLOCK_MONOTONIC, 0,
                                               /*accuracy=*/1000, Source::Ticked, source.get()),
                             "event loop: timer"));
  sources_.push_back(std::move(source));
  return absl::OkStatus();
}

void EventLoop::Watch::Unref::operator()(sd_event_source* source) const {
  sd_event_source_disable_unref(source);
}

void EventLoop::Watch::Await(uint32_t events) {
  sd_event_source_set_io_events(source_.get(), events);
}

void EventLoop::Watch::At(Deadline time) {
  sd_event_source_set_time(source_.get(), Microseconds(time));
  sd_event_source_set_enabled(source_.get(),
                              time == Deadline::max() ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

absl::StatusOr<EventLoop::Watch> EventLoop::WatchDescriptor(int fd, uint32_t events,
                                                            std::function<void()> ready) {
  auto callback = std::make_unique<Callback>(std::move(ready));
  Watch watch;
  sd_event_source* source = nullptr;
  OKMS_RETURN_IF_ERROR(
      Check(sd_event_add_io(event_, &source, fd, events, OnDescriptor, callback.get()),
            "event loop: descriptor"));
  watch.source_.reset(source);
  Leave(source, std::move(callback));
  return watch;
}

absl::StatusOr<EventLoop::Watch> EventLoop::NewTimer(std::function<void()> elapsed) {
  auto callback = std::make_unique<Callback>(std::move(elapsed));
  Watch timer;
  sd_event_source* source = nullptr;
  OKMS_RETURN_IF_ERROR(Check(sd_event_add_time(event_, &source, CLOCK_MONOTONIC, kFarAway,
                                               /*accuracy=*/1000, OnTime, callback.get()),
                             "event loop: timer"));
  timer.source_.reset(source);
  Leave(source, std::move(callback));
  timer.At(Deadline::max());
  return timer;
}

void EventLoop::Hurry() {
  for (const std::unique_ptr<Source>& source : sources_) {
    if (source->tick) sd_event_source_set_time(source->source, 0);
  }
}

absl::Status EventLoop::Run() { return Check(sd_event_loop(event_), "event loop"); }

void EventLoop::Exit() { sd_event_exit(event_, 0); }

absl::Status BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : kStopSignals) sigaddset(&signals, signal);
  for (const int signal : kNotedSignals) sigaddset(&signals, signal);
  sigaddset(&signals, kReloadSignal);
  if (const int error = ::pthread_sigmask(SIG_BLOCK, &signals, nullptr); error != 0) {
    return ErrnoStatus(absl::StatusCode::kInternal, "block signals", error);
  }
  // A write to a closed connection raises SIGPIPE, one beyond a limit SIGXFSZ; a terminal stops who
  // runs in its background. The others, nobody here has asked for.
  std::vector<int> ignored{SIGPIPE, SIGALRM, SIGVTALRM, SIGPROF, SIGIO,   SIGSTKFLT,
                           SIGPWR,  SIGXCPU, SIGXFSZ,   SIGTSTP, SIGTTIN, SIGTTOU};
  for (int signal = SIGRTMIN; signal <= SIGRTMAX; ++signal) ignored.push_back(signal);
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  for (const int signal : ignored) {
    if (::sigaction(signal, &ignore, nullptr) != 0) {
      return ErrnoStatus(absl::StatusCode::kInternal, absl::StrCat("ignore signal ", signal),
                         errno);
    }
  }
  return absl::OkStatus();
}

}  // namespace okms
