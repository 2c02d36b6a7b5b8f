// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/key_health.h"

#include <algorithm>

namespace okms {
namespace {

// A wait that is shorter is nothing to speak of.
constexpr std::chrono::milliseconds kNotice{2'500};

}  // namespace

bool IsSilence(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kDataLoss: return true;
    default: return false;
  }
}

bool Unanswered(const absl::Status& status) {
  return IsSilence(status) && !absl::IsDataLoss(status);
}

void KeyHealth::Answered(Deadline now) {
  answered_ = now;
  silence_.reset();
}

void KeyHealth::Proven(Deadline began, Deadline now) {
  Answered(now);
  proven_ = now;
  unproven_.reset();
  if (refusal_ && refused_last_ <= began) {
    refusal_.reset();
    misfit_ = absl::OkStatus();
  }
}

bool KeyHealth::Failed(const absl::Status& status, Deadline began, Deadline now) {
  if (IsSilence(status)) {
    // Of what began before the last success nothing is known but that it alone has failed.
    const Deadline since = began < answered_ ? now : began;
    if (!silence_) silence_ = Trouble{status, since};
    silence_->status = status;
    silence_->since = std::min(silence_->since, since);
    return false;
  }
  if (began < proven_) return true;
  if (!refusal_) refusal_ = Trouble{status, now};
  // A misfit stays the reason until the key is proven.
  if (misfit_.ok()) refusal_->status = status;
  refused_last_ = now;
  return false;
}

void KeyHealth::Unproven(const absl::Status& status, Deadline began, Deadline now) {
  if (!unproven_) unproven_ = Trouble{status, began < proven_ ? now : began};
  unproven_->status = status;
}

void KeyHealth::Misfit(const absl::Status& status, Deadline now) {
  if (!refusal_) refusal_ = Trouble{status, now};
  refusal_->status = status;
  refused_last_ = now;
  misfit_ = status;
}

std::optional<Trouble> KeyHealth::TroubleAt(Deadline now,
                                            std::optional<Deadline> waiting_since) const {
  if (refusal_) return refusal_;
  const bool waiting = waiting_since && now - *waiting_since >= kNotice;
  if (!silence_ && !waiting) return unproven_;
  Trouble silence =
      silence_.value_or(Trouble{absl::DeadlineExceededError("the KMS does not answer"), now});
  if (waiting) silence.since = std::min(silence.since, *waiting_since);
  silence.since = std::min(silence.since, now);
  // Whichever is longer.
  return unproven_ && unproven_->since <= silence.since ? *unproven_ : silence;
}

absl::Status KeyHealth::At(Deadline now, std::optional<Deadline> waiting_since) const {
  if (refusal_) return refusal_->status;
  const std::optional<Trouble> silence = TroubleAt(now, waiting_since);
  return silence && now - silence->since >= kSilence ? silence->status : absl::OkStatus();
}

}  // namespace okms
