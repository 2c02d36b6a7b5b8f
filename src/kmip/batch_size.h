// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// How many of those that wait should travel together.

#ifndef OKMS_KMIP_BATCH_SIZE_H_
#define OKMS_KMIP_BATCH_SIZE_H_

#include <chrono>
#include <cstddef>

namespace okms::kmip {

// All servers work through a batch one item after the other, so it saves round trips, not the
// server's time. Where the way is what takes the time, as many as wait should go at once; where the
// KMS itself does, each session should have its share, for they work side by side. Which of the two
// it is, is seen. Pure. Not thread-safe.
class BatchSize {
 public:
  using Time = std::chrono::nanoseconds;
  static constexpr Time kMoment = std::chrono::milliseconds(1);

  // It took so long until a request of so many (at least one) was answered.
  void Took(Time time, std::size_t items);

  // Who has less time left than this cannot be answered any more.
  Time Least() const { return alone_ / 2; }

  // How many of `waiting` (at least one), when so many sessions share them. What waits for the last
  // of them must have the time for it: `left`.
  std::size_t Most(std::size_t waiting, std::size_t sessions, Time left) const;

  // How many sessions are enough. Where an answer is there in a moment, and several take little
  // more time than one, it is worth while to wait for the next one that comes and to travel
  // together: that takes fewer system calls, of the KMS, too.
  std::size_t Sessions() const;

 private:
  // Smoothed; zero while nothing is known.
  Time alone_{};
  Time together_{};  // for each
};

}  // namespace okms::kmip

#endif  // OKMS_KMIP_BATCH_SIZE_H_
