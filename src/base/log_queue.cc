// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/log_queue.h"

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"

namespace okms {
namespace {

// How long the end of the process may wait for whoever reads the log.
constexpr std::chrono::seconds kLastWords{1};

// What it takes of the capacity; its share of the queue's own memory, too.
std::size_t Size(const Event& event) {
  return sizeof event + event.text.size() + event.key_id_hash.size() + event.uid.size();
}

}  // namespace

struct LogQueue::State {
  explicit State(Logger::Sink to) : sink(std::move(to)) {}

  void Add(const Event& event) {
    {
      const std::lock_guard lock(mutex);
      if (started) {
        // However much --debug has to tell, there is room for what matters.
        const std::size_t room = event.severity == Severity::kDebug ? kCapacity / 2 : kCapacity;
        if (size + Size(event) > room) {
          ++left_out;
          ++left_out_ever;
          return;
        }
        SayLeftOut();
        Push(event);
        changed.notify_all();
        return;
      }
    }
    sink(event);
  }

  // Writes until there is nothing left and nothing more will come.
  void Write() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [this] { return !lines.empty() || left_out > 0 || ending; });
      if (lines.empty()) SayLeftOut();
      if (lines.empty()) break;
      const Event event = std::move(lines.front());
      lines.pop_front();
      lock.unlock();
      sink(event);
      lock.lock();
      size -= Size(event);
    }
    written = true;
    changed.notify_all();
  }

  // With the lock held, as is Push. A few bytes over the capacity do no harm.
  void SayLeftOut() {
    if (left_out == 0) return;
    Push({Severity::kWarning, EventName::kLinesLeftOut,
          absl::StrCat(left_out, " lines left out here: the log was not read in time")});
    left_out = 0;
  }
  void Push(Event event) {
    size += Size(event);
    lines.push_back(std::move(event));
  }

  const Logger::Sink sink;
  std::mutex mutex;  // guards all below
  std::condition_variable changed;
  std::deque<Event> lines;
  std::size_t size = 0;      // bytes of `lines`, and of the line being written
  std::size_t left_out = 0;  // since that was last said
  uint64_t left_out_ever = 0;
  bool started = false;
  bool ending = false;
  bool written = false;
};

LogQueue::LogQueue(Logger::Sink sink) : state_(std::make_shared<State>(std::move(sink))) {}

LogQueue::~LogQueue() {
  std::unique_lock lock(state_->mutex);
  if (!state_->started) return;
  state_->ending = true;
  state_->changed.notify_all();
  state_->changed.wait_for(lock, kLastWords, [this] { return state_->written; });
}

void LogQueue::Start() {
  std::thread([state = state_] {
    ::pthread_setname_np(::pthread_self(), "log");
    state->Write();
  }).detach();
  const std::lock_guard lock(state_->mutex);
  state_->started = true;
}

uint64_t LogQueue::LeftOut() const {
  const std::lock_guard lock(state_->mutex);
  return state_->left_out_ever;
}

Logger::Sink LogQueue::sink() {
  return [this](const Event& event) { state_->Add(event); };
}

}  // namespace okms
