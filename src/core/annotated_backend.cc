// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/annotated_backend.h"

#include "absl/status/status.h"
#include "base/status.h"

namespace okms {

absl::Status AnnotatedBackend::Annotated(const absl::Status& status) const {
  if (!absl::IsUnavailable(status) && !absl::IsUnauthenticated(status)) return status;
  return Append(status, remark_());
}

template <typename T>
Done<T> AnnotatedBackend::Annotating(Done<T> done) const {
  return [this, done = std::move(done)](absl::StatusOr<T> result) mutable {
    if (result.ok()) {
      done(std::move(result));
    } else {
      done(Annotated(result.status()));
    }
  };
}

void AnnotatedBackend::Locate(const std::string& label, NextDeadline deadline, Done<Located> done) {
  backend_->Locate(label, std::move(deadline), Annotating(std::move(done)));
}

void AnnotatedBackend::Inspect(const std::string& key_id, Deadline deadline, Done<KeyInfo> done) {
  backend_->Inspect(key_id, deadline, Annotating(std::move(done)));
}

void AnnotatedBackend::Encrypt(Way way, const std::string& key_id, Secret plaintext,
                               Deadline deadline, Done<Ciphertext> done) {
  backend_->Encrypt(way, key_id, std::move(plaintext), deadline, Annotating(std::move(done)));
}

void AnnotatedBackend::Decrypt(Way way, const std::string& key_id, Ciphertext ciphertext,
                               Deadline deadline, Done<Secret> done) {
  backend_->Decrypt(way, key_id, std::move(ciphertext), deadline, Annotating(std::move(done)));
}

}  // namespace okms
