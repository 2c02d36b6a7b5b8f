// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What takes a plugin, or its KMS, that is in our hands. Each leaves both as they were, or has the
// runner mend it.

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "conformance/cases.h"
#include "conformance/target.h"
#include "core/limits.h"

namespace okms::conformance {
namespace {

constexpr std::chrono::seconds kGrace{30};  // what a pod is given to end
constexpr milliseconds kTurn{50};
constexpr milliseconds kAMoment{500};  // in which who is about to end does so
constexpr int kManyStatuses = 100;
constexpr int kFewRequests = 20;  // what goes on beside them
constexpr int kHerd = 8;

std::string Patience(Target& target) {
  return absl::FormatDuration(absl::FromChrono(target.request().patience));
}

// Until it goes well, for as long as there is patience: a plaintext there and back.
absl::Status AwaitRoundTrip(Target& target) {
  const Deadline deadline = Clock::now() + target.request().patience;
  while (true) {
    const std::string plaintext = NewPlaintext(kSeedSize);
    const auto record = target.client().Encrypt(plaintext);
    const absl::StatusOr<std::string> back =
        record.ok() ? target.client().Decrypt(*record) : record.status();
    if (back.ok() && *back == plaintext) return absl::OkStatus();
    if (Expired(deadline)) {
      return back.ok() ? absl::DataLossError("decrypted to something else") : back.status();
    }
    std::this_thread::sleep_for(kTurn);
  }
}

Verdict Gone(Target& target, absl::string_view when) {
  return Broken(absl::StrCat("it ended ", when, ": ", target.plugin().end()));
}

// It is started again, and what was written before is read.
Verdict ReadsAfterStart(Target& target, const Record& record, const std::string& plaintext) {
  if (absl::Status started = target.StartPlugin(); !started.ok()) return Unknown(Words(started));
  const auto ready = target.AwaitReady();
  if (!target.plugin().Running()) return Gone(target, "when it was started again");
  if (!ready.ok()) return Broken(absl::StrCat("started again: Status: ", Words(ready.status())));
  const auto back = target.client().Decrypt(record);
  if (!back.ok()) return Broken(absl::StrCat("started again: Decrypt: ", Words(back.status())));
  return *back == plaintext ? Kept() : Broken("decrypted to something else");
}

}  // namespace

Verdict LookForTheRawKey(Target& target) {
  const absl::Status used =
      target.client().Status().ok() ? AwaitRoundTrip(target) : absl::UnavailableError("no Status");
  if (!used.ok()) return Unknown(Words(used));
  const absl::StatusOr<int> times = target.AskedSoFar("Get");
  if (!times.ok()) return Unknown(Words(times.status()));
  if (*times == 0) return Kept();
  return Broken(absl::StrCat("the KMS was asked for the key itself (KMIP Get) ", *times, " times"));
}

Verdict LookAtCostOfStatus(Target& target) {
  const absl::StatusOr<int> before = target.AskedSoFar();
  if (!before.ok()) return Unknown(Words(before.status()));
  for (int i = 0; i < kManyStatuses; ++i) {
    if (const auto status = target.client().Status(); !status.ok()) {
      return Broken(absl::StrCat("Status: ", Words(status.status())));
    }
  }
  const absl::StatusOr<int> after = target.AskedSoFar();
  if (!after.ok()) return Unknown(Words(after.status()));
  if (*after - *before <= kFewRequests) return Kept();
  return Broken(absl::StrCat(kManyStatuses, " calls of Status were ", *after - *before,
                             " requests to the KMS"));
}

Verdict LookAtHangingKms(Target& target) {
  const auto record = target.client().Encrypt(NewPlaintext(kSeedSize));
  if (!record.ok()) return Unknown(absl::StrCat("Encrypt: ", Words(record.status())));
  target.kms().Signal(SIGSTOP);
  std::vector<std::thread> herd;
  for (int i = 0; i < kHerd; ++i) {
    herd.emplace_back([&] { target.client().Decrypt(*record).status().IgnoreError(); });
  }
  Verdict verdict;
  for (int i = 0; i < 3; ++i) {
    const absl::Status status = target.client().Status().status();
    if (absl::IsDeadlineExceeded(status)) {
      verdict = Broken(absl::StrCat("Status: ", Words(status)));
    }
  }
  for (std::thread& call : herd) call.join();
  target.kms().Signal(SIGCONT);
  if (verdict.outcome == Outcome::kKept) {
    if (const absl::Status after = AwaitRoundTrip(target); !after.ok()) {
      verdict = Broken(absl::StrCat("when the KMS answered again, not within ", Patience(target),
                                    ": ", Words(after)));
    }
  }
  return verdict;
}

Verdict LookAtLostConnections(Target& target) {
  target.kms().Kill();
  if (absl::Status started = target.StartKms(); !started.ok()) return Unknown(Words(started));
  const absl::Status after = AwaitRoundTrip(target);
  if (!target.plugin().Running()) return Gone(target, "when its connections were lost");
  if (after.ok()) return Kept();
  return Broken(absl::StrCat("not within ", Patience(target), ": ", Words(after)));
}

Verdict LookAtLostKms(Target& target) {
  target.kms().Kill();
  const auto lost = target.AwaitNotReady();
  if (!target.plugin().Running()) return Gone(target, "when its KMS was gone");
  if (lost.ok() && lost->healthz == "ok") {
    return Broken(absl::StrCat("Status was good for ", Patience(target), " without the KMS"));
  }
  if (absl::IsDeadlineExceeded(lost.status())) {
    return Broken(absl::StrCat("Status without the KMS: ", Words(lost.status())));
  }
  if (absl::Status started = target.StartKms(); !started.ok()) return Unknown(Words(started));
  if (const auto back = target.AwaitReady(); !back.ok()) {
    return Broken(absl::StrCat("with the KMS back, Status was not good within ", Patience(target),
                               ": ", Words(back.status())));
  }
  const absl::Status after = AwaitRoundTrip(target);
  return after.ok() ? Kept() : Broken(absl::StrCat("with the KMS back: ", Words(after)));
}

Verdict LookAtStartWithoutKms(Target& target) {
  target.plugin().Kill();
  target.kms().Kill();
  if (absl::Status started = target.StartPlugin(); !started.ok()) return Unknown(Words(started));
  const Deadline deadline = Clock::now() + target.request().patience;
  absl::Status status;
  do {
    status = target.client().Status().status();
    if (!target.plugin().Running()) return Gone(target, "without its KMS");
  } while (absl::IsDeadlineExceeded(status) && !Expired(deadline));
  if (target.plugin().Wait(kAMoment)) return Gone(target, "without its KMS");
  if (status.ok()) return Broken("Status is good, and the KMS was never there");
  if (absl::IsDeadlineExceeded(status)) {
    return Broken(
        absl::StrCat("without its KMS, Status within ", Patience(target), ": ", Words(status)));
  }
  if (absl::Status started = target.StartKms(); !started.ok()) return Unknown(Words(started));
  const auto ready = target.AwaitReady();
  if (!target.plugin().Running()) return Gone(target, "when its KMS came");
  if (ready.ok()) return Kept();
  return Broken(absl::StrCat("with the KMS there, Status was not good within ", Patience(target),
                             ": ", Words(ready.status())));
}

Verdict LookAtTermination(Target& target) {
  const std::string plaintext = NewPlaintext(kSeedSize);
  const auto record = target.client().Encrypt(plaintext);
  if (!record.ok()) return Unknown(absl::StrCat("Encrypt: ", Words(record.status())));
  target.plugin().Signal(SIGTERM);
  const std::chrono::milliseconds limit = std::min<milliseconds>(kGrace, target.request().patience);
  if (!target.plugin().Wait(limit)) {
    target.plugin().Kill();
    return Broken(absl::StrCat("it still runs ", absl::FormatDuration(absl::FromChrono(limit)),
                               " after SIGTERM"));
  }
  return ReadsAfterStart(target, *record, plaintext);
}

Verdict LookAtCrash(Target& target) {
  const std::string plaintext = NewPlaintext(kSeedSize);
  const auto record = target.client().Encrypt(plaintext);
  if (!record.ok()) return Unknown(absl::StrCat("Encrypt: ", Words(record.status())));
  target.plugin().Kill();
  return ReadsAfterStart(target, *record, plaintext);
}

Verdict LookAtRotation(Target& target) {
  const std::string plaintext = NewPlaintext(kSeedSize);
  const auto record = target.client().Encrypt(plaintext);
  if (!record.ok()) return Unknown(absl::StrCat("Encrypt: ", Words(record.status())));
  target.old_record = {*record, plaintext};
  if (absl::Status rotated = target.Rotate(); !rotated.ok()) return Unknown(Words(rotated));
  const Deadline deadline = Clock::now() + target.request().patience;
  auto status = target.client().Status();
  while (status.ok() && status->key_id == record->key_id && !Expired(deadline)) {
    std::this_thread::sleep_for(kTurn);
    status = target.client().Status();
  }
  if (!status.ok()) return Broken(absl::StrCat("Status: ", Words(status.status())));
  if (status->key_id == record->key_id) {
    return Broken(absl::StrCat("key_id is the same ", Patience(target), " after --rotate"));
  }
  const std::string key_id = status->key_id;
  for (int i = 0; i < kFewRequests; ++i) {
    const auto next = target.client().Encrypt(plaintext);
    status = target.client().Status();
    if (!next.ok()) return Broken(absl::StrCat("Encrypt: ", Words(next.status())));
    if (!status.ok()) return Broken(absl::StrCat("Status: ", Words(status.status())));
    if (next->key_id != key_id || status->key_id != key_id) {
      return Broken(absl::StrCat("after key_id \"", Printable(key_id), "\", Encrypt says \"",
                                 Printable(next->key_id), "\" and Status \"",
                                 Printable(status->key_id), "\""));
    }
  }
  return Kept();
}

Verdict LookAtOldRecords(Target& target) {
  const auto back = target.client().Decrypt(target.old_record.record);
  if (!back.ok()) return Broken(Words(back.status()));
  return *back == target.old_record.plaintext ? Kept() : Broken("decrypted to something else");
}

}  // namespace okms::conformance
