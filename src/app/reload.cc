// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "app/reload.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace okms {

Reload::Reload(Parts parts, std::function<Deadline()> now)
    : parts_(std::move(parts)), now_(std::move(now)), next_look_(now_() + kLookSoon) {}

void Reload::Ask() {
  asked_ = true;
  tell_by_ = now_() + kTellBy;
  parts_.state.Reloading();
}

Deadline Reload::Tick() {
  const Deadline now = now_();
  if (proof_) Judge(now);
  if (asked_ || now >= std::min(next_look_, again_)) Look(now);
  if (tell_by_ && (!proof_ || now >= *tell_by_)) {
    parts_.state.Reloaded();
    tell_by_.reset();
  }
  bool retiring = false;
  for (ReplaceableBackend* server : parts_.servers) retiring = server->Sweep() || retiring;

  Deadline next = std::min({next_look_, again_, tell_by_.value_or(Deadline::max())});
  if (proof_) next = std::min(next, now + kLookForAnswer);
  if (retiring) next = std::min(next, now + std::chrono::seconds(1));
  return next;
}

void Reload::Look(Deadline now) {
  const bool asked = std::exchange(asked_, false);
  const bool changed = parts_.credentials.FilesChanged();
  if (asked || changed || now >= again_) {
    aloud_ = aloud_ || asked;
    again_ = Deadline::max();
    Read(changed, now);
  }
  const bool calm = trouble_.empty() && !proof_ && parts_.credentials.tls().ok() &&
                    parts_.credentials.Trouble().empty();
  next_look_ = now + (calm ? kLook : kLookSoon);
}

void Reload::Read(bool changed, Deadline now) {
  const Credentials::Tls read = parts_.credentials.ReadAgain();
  const Credentials::Tls in_use = parts_.credentials.tls();
  // Root could have read it, at the start.
  const bool forbidden = absl::IsPermissionDenied(read.status());
  if (forbidden && !changed && trouble_.empty() && in_use.ok()) {
    // Perhaps it was never meant to be read again, and nothing is known to be wrong.
    const bool aloud = aloud_;
    End();
    if (aloud) {
      parts_.log.Notice(EventName::kCertificatesKept,
                        absl::StrCat("certificates are not read again, those in use stay: ",
                                     read.status().message(), ", or restart it"));
    }
    return;
  }
  if (!read.ok()) {
    return Refuse(absl::StrCat(read.status().message(), forbidden ? ", or restart it" : ""),
                  now + kLook);
  }
  // Who asks again and again must not have the KMS begin again and again.
  if (proof_ && (*read)->identity() == candidate_->identity()) return;
  if (in_use.ok() && (*in_use)->identity() == (*read)->identity()) return SayUnchanged();
  if (const auto trouble = (*read)->validity().At(std::time(nullptr))) {
    return Refuse(trouble->Text(), now + kLook);
  }
  auto hosts = parts_.make(*read);
  if (!hosts.ok()) return Refuse(hosts.status().message(), now + kLook);
  proof_.reset();
  candidate_ = *read;
  key_id_ = parts_.health().key_id;
  if (key_id_.empty()) return Use(*std::move(hosts), "no key is in use yet");
  proof_.emplace(*std::move(hosts), key_id_, parts_.timeout);
}

void Reload::SayUnchanged() {
  const bool news = aloud_ || !trouble_.empty();
  End();
  if (news) parts_.log.Info(EventName::kCertificatesKept, "certificates on disk are those in use");
}

void Reload::Judge(Deadline now) {
  const std::optional<absl::Status> verdict = proof_->Verdict();
  if (!verdict) return;
  if (verdict->ok()) {
    Use(std::move(*proof_).Take(), absl::StrCat("proven with key ", Printable(key_id_)));
  } else if (IsNoWorse(*verdict)) {
    Use(std::move(*proof_).Take(), absl::StrCat("with them as before: ", verdict->message()));
  } else {
    Refuse(absl::StrCat("with them, ", verdict->message()), now + kProveAgain,
           candidate_->identity());
  }
}

bool Reload::IsNoWorse(const absl::Status& verdict) const {
  switch (verdict.code()) {
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kPermissionDenied: break;
    default: return false;
  }
  if (!parts_.credentials.Trouble().empty()) return true;
  const Health health = parts_.health();
  return health.trouble && (health.trouble->status.code() == verdict.code() ||
                            absl::IsUnauthenticated(health.trouble->status));
}

void Reload::Use(std::vector<Proof::Host> hosts, absl::string_view why) {
  ++counts_.used;
  const bool first = !parts_.credentials.tls().ok();
  parts_.credentials.Use(candidate_);
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    parts_.servers[i]->Replace(std::move(hosts[i].backend));
  }
  parts_.log.Warnings(EventName::kCertificateWarning, candidate_->warnings());
  parts_.log.Info(
      EventName::kCertificatesTaken,
      absl::StrCat("certificates read again: ", parts_.credentials.Summary(), "; ", why));
  End();
  if (first) parts_.state.Ready();
}

void Reload::Refuse(absl::string_view why, Deadline again, std::string about) {
  ++counts_.refused;
  std::string trouble = absl::StrCat("certificates on disk are not taken: ", why);
  if (about.empty()) about = trouble;
  if (aloud_ || about != said_) {
    const std::string in_use = parts_.credentials.Summary();
    parts_.log.Warning(EventName::kCertificatesRefused,
                       absl::StrCat(trouble, in_use.empty() ? "" : "; in use: ", in_use));
  }
  End();
  trouble_ = std::move(trouble);
  said_ = std::move(about);
  again_ = again;
}

void Reload::End() {
  proof_.reset();
  candidate_.reset();
  trouble_.clear();
  said_.clear();
  aloud_ = false;
}

}  // namespace okms
