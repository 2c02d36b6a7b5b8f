// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What a KMS must be able to do for us, whatever its protocol.

#ifndef OKMS_CORE_BACKEND_H_
#define OKMS_CORE_BACKEND_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "base/done.h"
#include "base/secret.h"
#include "core/key_info.h"

namespace okms {

// Asked before each operation of a chain: by when it is to be answered.
using NextDeadline = std::function<Deadline()>;

// What is stored in etcd beside the key's id. None of it is secret.
struct Ciphertext {
  std::string bytes;
  std::map<std::string, std::string> annotations;
};

// What a call is for. Checks have connections of their own, which no load of calls can take. An
// Encrypt comes seldom, and a cluster writes by it; Decrypts come in herds, and may all wait for a
// KMS that does not answer them: they take no place from it.
enum class Way { kDecrypts, kEncrypts, kChecks };

// Where a label leads.
struct Located {
  std::vector<std::string> key_ids;  // as the KMS said, so one may be there twice
  // From an earlier answer. It is forgotten as soon as Inspect shows another thing of the key than
  // an active one of that label, so a second Locate asks the KMS.
  bool remembered = false;
};

// A KMS. Thread-safe; no call blocks, and each is answered by its deadline. Errors of all calls:
// kUnavailable, kDeadlineExceeded, kUnauthenticated, kPermissionDenied, kDataLoss (an answer that
// makes no sense), kResourceExhausted (too much is waiting), kCancelled (it is being destroyed,
// which waits for no answer), and those named below.
class Backend {
 public:
  virtual ~Backend() = default;

  // The keys of that label, if the server can, only active symmetric ones; none is no error. By the
  // way of the checks. A list that comes in pages is as many operations, each with its `deadline`;
  // that is not asked any more once `done` was called.
  virtual void Locate(const std::string& label, NextDeadline deadline, Done<Located> done) = 0;

  // What can be seen of a key; its attributes are hidden if this client may not see them. Never
  // asks for the key itself. By the way of the checks. Errors: kNotFound.
  virtual void Inspect(const std::string& key_id, Deadline deadline, Done<KeyInfo> done) = 0;

  // Encrypts with that key and no other. Errors: kNotFound, kFailedPrecondition (kind, state or
  // usage of the key).
  virtual void Encrypt(Way way, const std::string& key_id, Secret plaintext, Deadline deadline,
                       Done<Ciphertext> done) = 0;

  // Errors: those of Encrypt; kInvalidArgument when the stored record itself is at fault.
  virtual void Decrypt(Way way, const std::string& key_id, Ciphertext ciphertext, Deadline deadline,
                       Done<Secret> done) = 0;
};

// One of the hosts that are a KMS together, and how lines name it.
struct BackendHost {
  std::string name;
  std::unique_ptr<Backend> backend;
};

}  // namespace okms

#endif  // OKMS_CORE_BACKEND_H_
