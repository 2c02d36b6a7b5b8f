// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "ctl/progress.h"

#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>

#include "absl/strings/str_cat.h"

namespace okms::ctl {
namespace {

constexpr std::chrono::milliseconds kBetweenLines{200};
constexpr char kClearLine[] = "\r\x1b[K";

}  // namespace

Progress::Progress() : shown_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() { Clear(); }

void Progress::Begin(const audit::Extent& extent) {
  total_ = extent.total;
  seen_ = 0;
  begun_ = Clock::now();
  next_ = begun_ + kBetweenLines;
}

void Progress::See(const audit::StoredValue& /*value*/, const audit::Envelope& /*envelope*/) {
  ++seen_;
  if (!shown_) return;
  const Clock::time_point now = Clock::now();
  if (now < next_) return;
  next_ = now + kBetweenLines;
  const double seconds = std::chrono::duration<double>(now - begun_).count();
  std::fputs(absl::StrCat(kClearLine, ProgressLine(seen_, total_, seconds)).c_str(), stderr);
  drawn_ = true;
}

void Progress::Clear() {
  if (drawn_) std::fputs(kClearLine, stderr);
  drawn_ = false;
}

std::string ProgressLine(std::uint64_t seen, std::uint64_t total, double seconds) {
  const double rate = seconds > 0 ? static_cast<double>(seen) / seconds : 0;
  const std::string a_second = absl::StrCat(std::llround(rate), " a second");
  if (total < seen) return absl::StrCat(seen, " values, ", a_second);  // old ones come on top
  std::string line = absl::StrCat(seen, " of ", total, " values, ", a_second);
  if (rate > 0) {
    const double left = static_cast<double>(total - seen) / rate;
    absl::StrAppend(&line, ", ", std::llround(std::ceil(left)), " s left");
  }
  return line;
}

}  // namespace okms::ctl
