// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/failover_calls.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace okms {

Reply MeaningOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk: return {Meaning::kGood, status};
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kDataLoss: return {Meaning::kFailed, status};
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kCancelled: return {Meaning::kNothing, status};
    default: return {Meaning::kRefused, status};  // also what a KMS says without saying why
  }
}

Reply MeaningOf(const HostRecord& record, const absl::StatusOr<Secret>& answer) {
  if (answer.ok() && !answer->Equals(record.plaintext)) {
    return {Meaning::kRefused, absl::InvalidArgumentError("what was decrypted is something else")};
  }
  Reply reply = MeaningOf(answer.status());
  if (answer.ok()) {
    reply.plaintext = &record.plaintext;
    reply.ciphertext = &record.ciphertext;
  }
  return reply;
}

void LocateCall::Put(Backend& host, std::size_t attempt, Deadline until, Done<Located> done) {
  host.Locate(
      label_,
      [this, attempt, until, first = true]() mutable {
        return std::exchange(first, false) ? until : NextPage(attempt, until);
      },
      std::move(done));
}

Deadline LocateCall::NextPage(std::size_t attempt, Deadline until) {
  const std::optional<Deadline> next =
      next_.With([](const NextDeadline& ask) { return ask ? std::optional(ask()) : std::nullopt; });
  if (!next) return until;
  goes_on_(*this, attempt, *next);
  return *next;
}

void LocateCall::Give(absl::StatusOr<Located> result) {
  next_.With([](NextDeadline& ask) { ask = nullptr; });
  TypedCall::Give(std::move(result));
}

void InspectCall::Put(Backend& host, std::size_t /*attempt*/, Deadline until, Done<KeyInfo> done) {
  host.Inspect(key_id, until, std::move(done));
}

Reply InspectCall::Means(const absl::StatusOr<KeyInfo>& result) {
  const std::string unfit = result.ok() ? WhyUnfit(*result) : "";
  if (unfit.empty()) return MeaningOf(result.status());
  shown_.With([&](std::optional<KeyInfo>& shown) {
    if (!shown) shown = *result;
  });
  Reply reply =
      MeaningOf(absl::FailedPreconditionError(absl::StrCat("key ", Printable(key_id), " ", unfit)));
  reply.shown = true;
  return reply;
}

void InspectCall::GiveShown() {
  Give(*shown_.With([](const std::optional<KeyInfo>& shown) { return shown; }));
}

void EncryptCall::Put(Backend& host, std::size_t /*attempt*/, Deadline until,
                      Done<Ciphertext> done) {
  host.Encrypt(way_, key_id, Secret(plaintext_.Reveal()), until, std::move(done));
}

Reply EncryptCall::Means(const absl::StatusOr<Ciphertext>& result) {
  Reply reply = MeaningOf(result.status());
  if (result.ok() && way_ == Way::kChecks) {
    reply.plaintext = &plaintext_;
    reply.ciphertext = &*result;
    reply.encrypted = true;
  }
  return reply;
}

void DecryptCall::Put(Backend& host, std::size_t /*attempt*/, Deadline until, Done<Secret> done) {
  host.Decrypt(way_, key_id, ciphertext_, until, std::move(done));
}

Reply DecryptCall::Means(const absl::StatusOr<Secret>& result) {
  Reply reply = MeaningOf(result.status());
  if (result.ok() && way_ == Way::kChecks) {
    reply.plaintext = &*result;
    reply.ciphertext = &ciphertext_;
  }
  return reply;
}

}  // namespace okms
