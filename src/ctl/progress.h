// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// How far a long reading is, for who waits at a terminal.

#ifndef OKMS_CTL_PROGRESS_H_
#define OKMS_CTL_PROGRESS_H_

#include <cstdint>
#include <string>

#include "audit/survey.h"
#include "base/deadline.h"

namespace okms::ctl {

// One line on standard error, drawn over itself. Nothing where that is no terminal: a pipe and a
// log stay clean.
class Progress : public audit::Observer {
 public:
  Progress();
  ~Progress() override;
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Begin(const audit::Extent& extent) override;
  void See(const audit::StoredValue& value, const audit::Envelope& envelope) override;

  // Takes the line away. Also done at the end.
  void Clear();

 private:
  const bool shown_;
  bool drawn_ = false;
  std::uint64_t total_ = 0;
  std::uint64_t seen_ = 0;
  Clock::time_point begun_;
  Clock::time_point next_;
};

// "1200 of 5000 values, 600 a second, 7 s left"; `total` 0: unknown.
std::string ProgressLine(std::uint64_t seen, std::uint64_t total, double seconds);

}  // namespace okms::ctl

#endif  // OKMS_CTL_PROGRESS_H_
