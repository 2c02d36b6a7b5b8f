// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What is known to stand in the way, said with each failure that it may be the cause of.

#ifndef OKMS_CORE_ANNOTATED_BACKEND_H_
#define OKMS_CORE_ANNOTATED_BACKEND_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "core/backend.h"

namespace okms {

// A KMS that takes no connection of ours says little of the reason, or nothing. So each
// kUnavailable and each kUnauthenticated ends with the remark, if there is one. `remark` is called
// on any thread; empty: there is none.
class AnnotatedBackend : public Backend {
 public:
  AnnotatedBackend(std::unique_ptr<Backend> backend, std::function<std::string()> remark)
      : remark_(std::move(remark)), backend_(std::move(backend)) {}

  void Locate(const std::string& label, NextDeadline deadline, Done<Located> done) override;
  void Inspect(const std::string& key_id, Deadline deadline, Done<KeyInfo> done) override;
  void Encrypt(Way way, const std::string& key_id, Secret plaintext, Deadline deadline,
               Done<Ciphertext> done) override;
  void Decrypt(Way way, const std::string& key_id, Ciphertext ciphertext, Deadline deadline,
               Done<Secret> done) override;

 private:
  absl::Status Annotated(const absl::Status& status) const;
  template <typename T>
  Done<T> Annotating(Done<T> done) const;

  const std::function<std::string()> remark_;
  const std::unique_ptr<Backend> backend_;  // last: its threads call back into all above
};

// In place of a KMS that cannot even be asked, for that reason.
class NoBackend : public Backend {
 public:
  explicit NoBackend(absl::Status reason) : reason_(std::move(reason)) {}

  void Locate(const std::string&, NextDeadline, Done<Located> done) override { done(reason_); }
  void Inspect(const std::string&, Deadline, Done<KeyInfo> done) override { done(reason_); }
  void Encrypt(Way, const std::string&, Secret, Deadline, Done<Ciphertext> done) override {
    done(reason_);
  }
  void Decrypt(Way, const std::string&, Ciphertext, Deadline, Done<Secret> done) override {
    done(reason_);
  }

 private:
  const absl::Status reason_;
};

}  // namespace okms

#endif  // OKMS_CORE_ANNOTATED_BACKEND_H_
