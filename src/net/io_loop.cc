// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// epoll(7) itself. sd-event arms a timerfd each time that the next deadline changes, that is, with
// each request, and lets no other thread touch anything while its own one waits.

#include "net/io_loop.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <iterator>
#include <span>
#include <system_error>

#include "absl/status/status.h"
#include "base/status.h"

namespace okms {
namespace {

// What a thread does for others that bring something while it has the turn: the rest is the loop's.
constexpr std::size_t kTasksOfOthers = 16;
constexpr std::size_t kTasksOfTheLoop = 1024;
constexpr std::size_t kEvents = 64;
constexpr std::chrono::hours kNothingToDo{1};

static_assert(POLLIN == EPOLLIN && POLLOUT == EPOLLOUT && POLLERR == EPOLLERR &&
              POLLHUP == EPOLLHUP);

thread_local const IoLoop* has_turn = nullptr;

epoll_event EventOf(short events, uint64_t id) {
  epoll_event event{};
  event.events = static_cast<uint16_t>(events);
  event.data.u64 = id;
  return event;
}

// Marks the thread that has the turn.
class Turn {
 public:
  explicit Turn(const IoLoop* loop) { has_turn = loop; }
  ~Turn() { has_turn = nullptr; }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
};

}  // namespace

absl::StatusOr<std::unique_ptr<IoLoop>> IoLoop::Create() {
  const auto failure = [](absl::string_view what, int error) {
    return ErrnoStatus(absl::StatusCode::kFailedPrecondition, what, error);
  };
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll || !wake) return failure("I/O loop", errno);
  epoll_event event = EventOf(POLLIN, 0);
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) {
    return failure("I/O loop", errno);
  }
  std::unique_ptr<IoLoop> loop(new IoLoop(std::move(epoll), std::move(wake)));
  try {
    loop->thread_ = std::thread([self = loop.get()] { self->Run(); });
  } catch (const std::system_error& error) {
    return failure("I/O loop: thread", error.code().value());
  }
  return loop;
}

IoLoop::~IoLoop() {
  stopping_ = true;
  Wake();
  if (thread_.joinable()) thread_.join();
}

bool IoLoop::InTurn() const { return has_turn == this; }

void IoLoop::Wake() const { ::eventfd_write(wake_.get(), 1); }

void IoLoop::Post(Task task) {
  {
    const std::lock_guard lock(inbox_mutex_);
    inbox_.push_back(std::move(task));
    ++waiting_;
  }
  if (InTurn()) return;
  if (loop_wants_turn_) return;
  std::unique_lock lock(turn_, std::try_to_lock);
  if (!lock) return;
  bool earlier = false;
  {
    const Turn turn(this);
    RunTasks(kTasksOfOthers);
    earlier = !timers_.empty() && timers_.begin()->first.first < armed_;
  }
  lock.unlock();
  // Who found the turn taken has left something in the inbox before: nothing is forgotten there.
  if (earlier || waiting_ > 0) Wake();
}

void IoLoop::RunInTurn(absl::FunctionRef<void()> task) {
  {
    const std::lock_guard lock(turn_);
    const Turn turn(this);
    RunTasks(waiting_);
    task();
    RunTasks(waiting_);
  }
  Wake();  // for what was posted meanwhile, and timers
}

void IoLoop::RunTasks(std::size_t most) {
  std::vector<Task> tasks;
  for (std::size_t run = 0; run < most && waiting_ > 0;) {
    {
      const std::lock_guard lock(inbox_mutex_);
      const std::size_t some = std::min(inbox_.size(), most - run);
      const auto end = inbox_.begin() + static_cast<std::ptrdiff_t>(some);
      tasks.assign(std::make_move_iterator(inbox_.begin()), std::make_move_iterator(end));
      inbox_.erase(inbox_.begin(), end);
      waiting_ -= some;
      run += some;
    }
    for (Task& task : tasks) task();
  }
}

void IoLoop::RunDueTimers() {
  const Deadline now = Clock::now();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    Task due = std::move(timers_.extract(timers_.begin()).mapped());
    due();
  }
}

void IoLoop::Dispatch(uint64_t id, short events) {
  if (id == 0) {
    eventfd_t ignored = 0;
    ::eventfd_read(wake_.get(), &ignored);
    return;
  }
  // One that was stopped meanwhile is not there any more; one that stops itself lives on until its
  // callback returns.
  const auto found = watched_.find(id);
  if (found == watched_.end()) return;
  const std::shared_ptr<Watched> watched = found->second;
  watched->ready(events);
}

Deadline IoLoop::NextTime() const {
  const Deadline now = Clock::now();
  Deadline next = now + kNothingToDo;
  if (!timers_.empty()) next = std::min(next, timers_.begin()->first.first);
  // A time that was armed for a request stays when it is answered, so that the next request, whose
  // deadline is a little later, need not wake the thread.
  return armed_ > now ? std::min(next, armed_) : next;
}

void IoLoop::Run() {
  std::array<epoll_event, kEvents> events{};
  std::size_t ready = 0;
  while (true) {
    loop_wants_turn_ = true;
    turn_.lock();
    loop_wants_turn_ = false;
    {
      const Turn turn(this);
      for (const epoll_event& event : std::span(events).first(ready)) {
        Dispatch(event.data.u64, static_cast<short>(event.events));
      }
      RunTasks(kTasksOfTheLoop);
      RunDueTimers();
      armed_ = NextTime();
    }
    const int timeout = PollTimeout(armed_);
    turn_.unlock();
    if (stopping_) return;
    // What was left in the inbox while the turn was taken must not wait.
    const int count =
        ::epoll_wait(epoll_.get(), events.data(), kEvents, waiting_ > 0 ? 0 : timeout);
    ready = static_cast<std::size_t>(std::max(count, 0));
  }
}

absl::StatusOr<IoLoop::Watch> IoLoop::OnReady(int fd, short events,
                                              std::function<void(short)> ready) {
  Watch watch;
  epoll_event event = EventOf(events, last_id_ + 1);
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return ErrnoStatus(absl::StatusCode::kResourceExhausted, "I/O loop: descriptor", errno);
  }
  watch.loop_ = this;
  watch.id_ = ++last_id_;
  watched_.emplace(watch.id_, std::make_shared<Watched>(Watched{fd, events, std::move(ready)}));
  return watch;
}

IoLoop::Watch& IoLoop::Watch::operator=(Watch&& other) noexcept {
  Stop();
  loop_ = std::exchange(other.loop_, nullptr);
  id_ = other.id_;
  return *this;
}

void IoLoop::Watch::Set(short events) {
  if (loop_ == nullptr) return;
  Watched& watched = *loop_->watched_.find(id_)->second;
  if (watched.events == events) return;
  watched.events = events;
  epoll_event event = EventOf(events, id_);
  ::epoll_ctl(loop_->epoll_.get(), EPOLL_CTL_MOD, watched.fd, &event);
}

void IoLoop::Watch::Stop() {
  if (loop_ == nullptr) return;
  const auto found = loop_->watched_.find(id_);
  ::epoll_ctl(loop_->epoll_.get(), EPOLL_CTL_DEL, found->second->fd, nullptr);
  loop_->watched_.erase(found);
  loop_ = nullptr;
}

void IoLoop::PostAt(Deadline time, Task task) {
  Post([this, time, task = std::move(task)]() mutable {
    timers_.emplace(std::pair(time, ++last_id_), std::move(task));
  });
}

IoLoop::Timer IoLoop::At(Deadline time, Task due) {
  Timer timer;
  timer.loop_ = this;
  timer.key_ = {time, ++last_id_};
  timers_.emplace(timer.key_, std::move(due));
  return timer;
}

IoLoop::Timer& IoLoop::Timer::operator=(Timer&& other) noexcept {
  Stop();
  loop_ = std::exchange(other.loop_, nullptr);
  key_ = other.key_;
  return *this;
}

void IoLoop::Timer::Stop() {
  if (loop_ != nullptr) loop_->timers_.erase(key_);
  loop_ = nullptr;
}

}  // namespace okms
