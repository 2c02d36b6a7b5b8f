// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/adoption.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace okms {
namespace {

constexpr int kProofs = 2;                // in checks running, one each
constexpr std::size_t kMaxReplaced = 64;  // remembered

}  // namespace

void Adoption::Confirmed() {
  candidate_.reset();
  astray_.reset();
  untold_.reset();
}

void Adoption::Seen(const std::string& id, Deadline now) {
  if (id == adopted_) {
    Confirmed();
  } else {
    Meet(id, now);
  }
}

bool Adoption::Proven(const std::string& id, Deadline began, Deadline now, bool in_use_refused) {
  if (id == adopted_) {
    Confirmed();
    return false;
  }
  Candidate& candidate = Meet(id, now);
  // Of two checks side by side one counts.
  if (candidate.proofs == 0 || began >= candidate.proven) {
    ++candidate.proofs;
    candidate.proven = now;
  }
  candidate.status = absl::OkStatus();
  const bool stayed = !WasReplaced(id) || in_use_refused || now - candidate.since >= kReturn;
  if (!adopted_.empty() && (candidate.proofs < kProofs || !stayed)) return false;
  if (!adopted_.empty()) replaced_.push_back(std::move(adopted_));
  if (replaced_.size() > kMaxReplaced) replaced_.pop_front();
  adopted_ = id;
  ++adoptions_;
  Confirmed();
  return true;
}

void Adoption::Failed(const std::string& id, const absl::Status& status, Deadline now) {
  Candidate& candidate = Meet(id, now);
  candidate.proofs = 0;
  candidate.status = status;
}

void Adoption::Astray(const absl::Status& status, Deadline now) {
  candidate_.reset();
  untold_.reset();
  if (!astray_) astray_ = Trouble{status, now};
  astray_->status = status;
}

void Adoption::Untold(const absl::Status& status, Deadline now) {
  if (!untold_) untold_ = Trouble{status, now};
  untold_->status = status;
  // What was said before is no longer known.
  if (IsUntold(now)) astray_.reset();
}

bool Adoption::IsUntold(Deadline now) const {
  if (!untold_) return false;
  return !IsSilence(untold_->status) || now - untold_->since >= KeyHealth::kSilence;
}

Adoption::Candidate& Adoption::Meet(const std::string& id, Deadline now) {
  astray_.reset();
  untold_.reset();
  if (!candidate_ || candidate_->id != id) {
    candidate_ = Candidate{id, now, 0, {}, absl::OkStatus()};
    if (!adopted_.empty()) ++candidates_;
  }
  return *candidate_;
}

bool Adoption::WasReplaced(const std::string& id) const {
  return std::find(replaced_.begin(), replaced_.end(), id) != replaced_.end();
}

std::optional<Adoption::Note> Adoption::Current(Deadline now) const {
  if (astray_) {
    std::optional<Deadline> error_from;
    if (!adopted_.empty()) error_from = astray_->since + label_grace_;
    return Note{astray_->status, std::string(astray_->status.message()), astray_->since,
                error_from};
  }
  if (IsUntold(now)) {
    return Note{untold_->status,
                absl::StrCat("the KMS does not say where it leads: ", untold_->status.message()),
                untold_->since,
                std::nullopt,
                {},
                /*known=*/false};
  }
  if (!candidate_) return std::nullopt;
  return Note{candidate_->status, CandidateText(), candidate_->since, std::nullopt, candidate_->id};
}

std::string Adoption::CandidateText() const {
  const auto& [id, since, proofs, proven, status] = *candidate_;
  if (!status.ok()) return std::string(status.message());
  if (proofs == 0) {
    return absl::StrCat("the key's name leads to key ", Printable(id),
                        " now, which is being proven");
  }
  return absl::StrCat("key ", Printable(id), " works and is to be adopted",
                      WasReplaced(id) ? " again when its name has stayed for 3 minutes" : "");
}

absl::Status Adoption::At(Deadline now) const {
  const bool over = astray_ && !adopted_.empty() && now - astray_->since >= label_grace_;
  return over ? astray_->status : absl::OkStatus();
}

}  // namespace okms
