// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What is known of one call while it goes from host to host.

#ifndef OKMS_CORE_FAILOVER_CALL_H_
#define OKMS_CORE_FAILOVER_CALL_H_

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "base/deadline.h"
#include "base/secret.h"
#include "core/backend.h"
#include "core/host_records.h"

namespace okms {

class FailoverCall;
using FailoverCallPtr = std::shared_ptr<FailoverCall>;  // shared by its attempts

// When to look at which attempts: the index is that of FailoverCall::attempts.
using Looks = std::multimap<Deadline, std::pair<FailoverCallPtr, std::size_t>>;

// What an answer means.
enum class Meaning {
  kGood,
  kRefused,  // the KMS says something against the key or the record
  kFailed,   // no answer, or none that is one
  kNothing,  // our own queue is full, or it is the end
};

struct Reply {
  Meaning meaning;
  absl::Status status;
  // Of a check that went well: what it had encrypted or decrypted.
  const Secret* plaintext = nullptr;
  const Ciphertext* ciphertext = nullptr;
  bool encrypted = false;
  // A refusal that is no error: the KMS shows that the key is unfit. The call keeps the first.
  bool shown = false;
};

// A call at one host.
struct Attempt {
  std::size_t host;
  HostRecordPtr trial;  // the host is first to decrypt this; null: nothing, or it has
  Deadline began;
  std::optional<Looks::iterator> look;
  bool silent = false;    // for so long that the next host is asked beside it
  bool hopeless = false;  // for so long that a refusal of another one is the answer
  std::optional<Meaning> answer;
  absl::Status status;
  bool shown = false;
  bool trusted = false;  // when it answered: the host has the keys that the others have
};

class FailoverCall {
 public:
  // What a host must have shown to be asked: what it has decrypted of the others' records. A host
  // may become another one between two calls, and nobody notices; so what would be lost by that
  // has it shown anew.
  enum class Trust {
    kNone,   // Decrypt, by which a host of other keys can do no harm
    kShown,  // Inspect
    kAnew,   // Encrypt, and where a label leads
  };

  FailoverCall(std::string key, Deadline until, Trust its_trust)
      : key_id(std::move(key)), trust(its_trust), deadline(until) {}
  virtual ~FailoverCall() = default;
  FailoverCall(const FailoverCall&) = delete;
  FailoverCall& operator=(const FailoverCall&) = delete;

  // Called with what the host said; `give` gives just that to the caller. Keeps the call alive.
  using Replied = absl::AnyInvocable<void(Reply, absl::FunctionRef<void()> give)>;
  // Any thread; also beside another one of the same call.
  virtual void Ask(Backend& host, std::size_t attempt, Deadline until, Replied replied) = 0;
  // In place of `give`: an error, or the first answer that was Reply::shown.
  virtual void Fail(absl::Status status) = 0;
  virtual void GiveShown() {}

  const std::string key_id;  // empty: that of a label is asked for
  const Trust trust;
  HostRecordPtr probe;  // of the first attempt's host, by this; the others are to compare

  // Of FailoverState.
  Deadline deadline;
  std::vector<Attempt> attempts;
  bool answered = false;
};

}  // namespace okms

#endif  // OKMS_CORE_FAILOVER_CALL_H_
