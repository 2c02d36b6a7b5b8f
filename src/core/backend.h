// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What a KMS must be able to do for us, whatever its protocol.

#ifndef OKMS_CORE_BACKEND_H_
#define OKMS_CORE_BACKEND_H_

#include <map>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/deadline.h"
#include "base/secret.h"

namespace okms {

// Called once, on any thread, perhaps before the call that took it returns.
template <typename T>
using Done = absl::AnyInvocable<void(absl::StatusOr<T>)>;

// What is stored in etcd beside the key's id. None of it is secret.
struct Ciphertext {
  std::string bytes;
  std::map<std::string, std::string> annotations;
};

// The key that is configured, as the KMS shows it.
struct KeyInfo {
  std::string id;
  // Whether the KMS let us see that the key is of the right kind, active, and usable both ways.
  // When not (it may refuse to show attributes), only a round trip tells.
  bool attributes_verified = false;
};

// A KMS. Thread-safe; no call blocks, and each is answered by its deadline. Errors of all calls:
// kUnavailable, kDeadlineExceeded, kUnauthenticated, kPermissionDenied, kDataLoss (an answer that
// makes no sense), kResourceExhausted (too much is waiting), kCancelled (it is being destroyed),
// and those named below.
class Backend {
 public:
  virtual ~Backend() = default;

  // Finds the configured key, by id or by label, and checks it. Never asks for the key itself.
  // Errors: kNotFound; kFailedPrecondition (ambiguous label, wrong kind, state or usage).
  virtual void FindKey(Deadline deadline, Done<KeyInfo> done) = 0;

  // Encrypts with that key and no other.
  virtual void Encrypt(const std::string& key_id, Secret plaintext, Deadline deadline,
                       Done<Ciphertext> done) = 0;

  // Errors: kInvalidArgument when the stored record itself is at fault.
  virtual void Decrypt(const std::string& key_id, Ciphertext ciphertext, Deadline deadline,
                       Done<Secret> done) = 0;
};

}  // namespace okms

#endif  // OKMS_CORE_BACKEND_H_
