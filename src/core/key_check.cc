// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/key_check.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "core/key_health.h"
#include "core/limits.h"

namespace okms {
namespace {

using Report = absl::AnyInvocable<void(KeyReport)>;

absl::Status Named(const absl::Status& status, const std::string& key_id) {
  // Without an answer, or when it is about us, it is not the key's matter.
  if (status.ok() || Unanswered(status) || absl::IsUnauthenticated(status)) return status;
  return Annotate(status, absl::StrCat("key ", Printable(key_id)));
}

void Prove(Backend& backend, const std::string& key_id, KeyInfo info, NextDeadline deadline,
           Report done) {
  RandomRoundTrip(
      backend, key_id, std::move(deadline),
      [key_id, info = std::move(info), done = std::move(done)](const Trip& trip) mutable {
        const absl::Status& status = trip.result.status();
        done({Named(status, key_id), /*proven=*/status.ok(), trip.took, std::move(info)});
      });
}

// When the KMS, or what stands before it, says no to the question for the attributes: the round
// trip decides. If that fails too, the first no tells more.
void ProveAgainst(Backend& backend, const std::string& key_id, absl::Status no,
                  NextDeadline deadline, Report done) {
  Prove(backend, key_id, {}, std::move(deadline),
        [key_id, no = std::move(no), done = std::move(done)](KeyReport report) mutable {
          const bool also_no =
              !report.status.ok() && !IsSilence(report.status) && !absl::IsCancelled(report.status);
          if (also_no) report.status = Named(no, key_id);
          done(std::move(report));
        });
}

// With the attributes at hand.
void Judge(Backend& backend, const std::string& key_id, KeyInfo info, bool must_prove,
           NextDeadline deadline, Report done) {
  if (const std::string why = WhyUnfit(info); !why.empty()) {
    done({absl::FailedPreconditionError(absl::StrCat("key ", Printable(key_id), " ", why)),
          false,
          {},
          std::move(info)});
  } else if (IsSeenActive(info) && !must_prove) {
    done({absl::OkStatus(), false, {}, std::move(info)});
  } else {
    Prove(backend, key_id, std::move(info), std::move(deadline), std::move(done));
  }
}

}  // namespace

void CheckKey(Backend& backend, const std::string& key_id, std::optional<KeyInfo> known,
              bool must_prove, NextDeadline deadline, Report done) {
  if (absl::Status status = CheckKeyId(key_id); !status.ok()) {
    done({std::move(status), false, {}, {}});
    return;
  }
  if (known) {
    Judge(backend, key_id, *std::move(known), must_prove, std::move(deadline), std::move(done));
    return;
  }
  const Deadline inspected_by = deadline();
  backend.Inspect(key_id, inspected_by,
                  [&backend, key_id, must_prove, deadline = std::move(deadline),
                   done = std::move(done)](absl::StatusOr<KeyInfo> info) mutable {
                    if (info.ok()) {
                      Judge(backend, key_id, *std::move(info), must_prove, std::move(deadline),
                            std::move(done));
                    } else if (IsSilence(info.status()) || absl::IsCancelled(info.status()) ||
                               absl::IsUnauthenticated(info.status())) {
                      done({Named(info.status(), key_id), false, {}, {}});
                    } else {
                      // What stands before the KMS may say no to the question alone.
                      ProveAgainst(backend, key_id, info.status(), std::move(deadline),
                                   std::move(done));
                    }
                  });
}

}  // namespace okms
