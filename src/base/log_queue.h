// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A log that keeps nobody waiting, whether somebody reads it or not.

#ifndef OKMS_BASE_LOG_QUEUE_H_
#define OKMS_BASE_LOG_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/log.h"

namespace okms {

// Standard error may be a pipe that nobody empties, and may be shared with other programs, so that
// it is not ours to make it non-blocking. So one thread writes, and may be stuck in that for as
// long as it likes; all others leave their lines in a queue of bounded size. Lines for which there
// is no room are counted, and the count is written where they would have been. Thread-safe.
class LogQueue {
 public:
  // Until Start, lines go to `sink` at once: there must be one thread only while the sandbox is set
  // up, and what ends the start is not to be lost.
  explicit LogQueue(Logger::Sink sink);

  // Waits until all lines are written, but no longer than a second.
  ~LogQueue();
  LogQueue(const LogQueue&) = delete;
  LogQueue& operator=(const LogQueue&) = delete;

  // Starts the thread. Once. Throws std::system_error when there can be none.
  void Start();

  // How many lines there was no room for, so far.
  uint64_t LeftOut() const;

  // A sink for a Logger that does not outlive the queue.
  Logger::Sink sink();

  static constexpr std::size_t kCapacity = 64 * 1024;  // bytes

 private:
  struct State;
  // Shared with the thread, which may still be stuck when this object is gone.
  std::shared_ptr<State> state_;
};

}  // namespace okms

#endif  // OKMS_BASE_LOG_QUEUE_H_
