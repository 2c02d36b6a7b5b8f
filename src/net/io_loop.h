// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The one loop that drives what goes to the KMS: sockets, timers, and what other threads bring.
//
// All that it drives belongs to the *turn*, of which there is one. The loop's thread has it, but
// for the time in which it waits for the kernel. Then whoever brings something takes it, and does
// it at once in its own thread: so a request is written by the thread that brought it, without a
// thread being woken. Who finds the turn taken leaves what it brings to the one that has it, and
// never waits.

#ifndef OKMS_NET_IO_LOOP_H_
#define OKMS_NET_IO_LOOP_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "base/deadline.h"
#include "base/unique_fd.h"

namespace okms {

class IoLoop {
 public:
  using Task = absl::AnyInvocable<void()>;

  // Starts the thread. Errors: kFailedPrecondition (no descriptor, no thread).
  static absl::StatusOr<std::unique_ptr<IoLoop>> Create();
  // What was posted and has not begun is dropped. Whoever has a Watch or a Timer goes before.
  ~IoLoop();
  IoLoop(const IoLoop&) = delete;
  IoLoop& operator=(const IoLoop&) = delete;

  // Any thread. Has the task run once in a turn: perhaps before this returns. From within the turn
  // it runs after what is being done. Does not block.
  void Post(Task task);

  // The same, then or a little later; what has not begun when the loop ends is dropped.
  void PostAt(Deadline time, Task task);

  // Any thread but one that has the turn. Waits for the turn, and runs the task in it, after what
  // was posted before it, and before what it posts itself: for construction and destruction.
  void RunInTurn(absl::FunctionRef<void()> task);

  // Whether this thread has the turn.
  bool InTurn() const;

  // What follows is of the turn. Callbacks run in it; they must not block.

  // A descriptor that is waited for, until this is destroyed, which may happen in its own callback.
  // Destroy it before the descriptor is closed.
  class Watch {
   public:
    Watch() = default;
    Watch(Watch&& other) noexcept { *this = std::move(other); }
    Watch& operator=(Watch&& other) noexcept;
    ~Watch() { Stop(); }
    // Waits for these (POLLIN, POLLOUT) from now on.
    void Set(short events);
    void Stop();

   private:
    friend class IoLoop;
    IoLoop* loop_ = nullptr;
    uint64_t id_ = 0;
  };
  // Calls `ready` with what is the case (POLLIN, POLLOUT, POLLERR, POLLHUP) as long as it is.
  // Errors: kResourceExhausted.
  absl::StatusOr<Watch> OnReady(int fd, short events, std::function<void(short)> ready);

  // A time that is waited for, until this is destroyed, which may happen in its own callback.
  class Timer {
   public:
    Timer() = default;
    Timer(Timer&& other) noexcept { *this = std::move(other); }
    Timer& operator=(Timer&& other) noexcept;
    ~Timer() { Stop(); }
    void Stop();

   private:
    friend class IoLoop;
    IoLoop* loop_ = nullptr;
    std::pair<Deadline, uint64_t> key_;
  };
  // Calls `due` once, then or a little later.
  Timer At(Deadline time, Task due);

 private:
  struct Watched {
    int fd;
    short events;
    std::function<void(short)> ready;
  };

  IoLoop(UniqueFd epoll, UniqueFd wake) : epoll_(std::move(epoll)), wake_(std::move(wake)) {}

  void Run();
  // With the turn: as many tasks of the inbox, those that they post included.
  void RunTasks(std::size_t most);
  void RunDueTimers();
  void Dispatch(uint64_t id, short events);
  // Until when the kernel may be waited for.
  Deadline NextTime() const;
  void Wake() const;

  const UniqueFd epoll_;
  const UniqueFd wake_;  // an eventfd; its id is 0
  std::atomic<bool> stopping_ = false;

  std::mutex inbox_mutex_;
  std::vector<Task> inbox_;
  std::atomic<std::size_t> waiting_ = 0;  // in the inbox

  std::mutex turn_;
  std::atomic<bool> loop_wants_turn_ = false;  // then nobody else takes it

  // Of the turn.
  std::unordered_map<uint64_t, std::shared_ptr<Watched>> watched_;
  std::map<std::pair<Deadline, uint64_t>, Task> timers_;
  uint64_t last_id_ = 0;
  Deadline armed_;  // until when the thread waits for the kernel
  std::thread thread_;
};

// Deletes what callbacks tell of, in the turn and after all that was posted before. From a thread
// that does not have the turn.
template <typename T>
struct DeleteInTurn {
  void operator()(T* owned) const {
    loop->RunInTurn([owned] { delete owned; });
  }
  IoLoop* loop;
};

}  // namespace okms

#endif  // OKMS_NET_IO_LOOP_H_
