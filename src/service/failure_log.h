// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Which failures of calls are written one by one, and which are only counted.

#ifndef OKMS_SERVICE_FAILURE_LOG_H_
#define OKMS_SERVICE_FAILURE_LOG_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/counter.h"
#include "base/deadline.h"
#include "base/guarded.h"
#include "base/log.h"

namespace okms {

// A key that is gone fails each read of each Secret, hundreds in a second. What tells them apart is
// the caller's uid, new for each call, which helps to find a few of them in the apiserver's log and
// drowns all else by the thousand. So, in each minute, of the failures of one kind (the same call,
// record's key and reason) the first few are written at once, with their uids; equal lines only
// once; and when the minute is over, how many more there were. The number of kinds is bounded as
// well. Thread-safe.
class FailureLog {
 public:
  explicit FailureLog(const Logger& log) : log_(log) {}
  // Says what was only counted so far.
  ~FailureLog() { Tick(Deadline::max()); }
  FailureLog(const FailureLog&) = delete;
  FailureLog& operator=(const FailureLog&) = delete;

  // `call` failed, on a record of the key `key_id`; empty when there is none.
  void Add(absl::string_view call, absl::string_view uid, absl::string_view key_id,
           const absl::Status& status, Deadline now = Clock::now());

  // Once the minute is over, says what was only counted. Call it every few seconds.
  void Tick(Deadline now = Clock::now());

  // How many failures so far were only counted.
  uint64_t folded() const { return folded_.value(); }

  static constexpr std::size_t kKinds = 20;
  static constexpr std::size_t kLinesOfAKind = 5;

 private:
  struct Kind {
    std::vector<std::string> lines;  // that were written
    std::size_t more = 0;
  };
  struct Minute {
    Deadline end = Deadline::max();
    std::map<std::string, Kind> kinds;
    std::size_t more = 0;  // of other kinds
  };

  const Logger& log_;
  Guarded<Minute> minute_;
  Counter folded_;
};

}  // namespace okms

#endif  // OKMS_SERVICE_FAILURE_LOG_H_
