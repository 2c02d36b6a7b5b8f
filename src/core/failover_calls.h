// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The calls of a Backend, each as one that can be asked of several hosts.

#ifndef OKMS_CORE_FAILOVER_CALLS_H_
#define OKMS_CORE_FAILOVER_CALLS_H_

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "base/guarded.h"
#include "core/failover_call.h"

namespace okms {

// What a host says by that status.
Reply MeaningOf(const absl::Status& status);
// What a host says that was asked to decrypt the record.
Reply MeaningOf(const HostRecord& record, const absl::StatusOr<Secret>& answer);

template <typename T>
class TypedCall : public FailoverCall {
 public:
  TypedCall(std::string key, Deadline until, Trust its_trust, Done<T> done)
      : FailoverCall(std::move(key), until, its_trust), done_(std::move(done)) {}

  void Ask(Backend& host, std::size_t attempt, Deadline until, Replied replied) override {
    Put(host, attempt, until,
        [this, replied = std::move(replied)](absl::StatusOr<T> result) mutable {
          replied(Means(result), [&] { Give(std::move(result)); });
        });
  }
  void Fail(absl::Status status) override { Give(std::move(status)); }

 protected:
  virtual void Put(Backend& host, std::size_t attempt, Deadline until, Done<T> done) = 0;
  virtual Reply Means(const absl::StatusOr<T>& result) { return MeaningOf(result.status()); }
  virtual void Give(absl::StatusOr<T> result) {
    Done<T> done = std::move(done_);  // which goes now, not with the last silent host
    done(std::move(result));
  }

 private:
  Done<T> done_;
};

class LocateCall : public TypedCall<Located> {
 public:
  using GoesOn = std::function<void(FailoverCall&, std::size_t attempt, Deadline)>;

  // `goes_on` is told of each page but the first, by when it is to be there.
  LocateCall(std::string label, NextDeadline next, GoesOn goes_on, Done<Located> done)
      : TypedCall("", next(), Trust::kAnew, std::move(done)),
        label_(std::move(label)),
        goes_on_(std::move(goes_on)),
        next_(std::move(next)) {}

 protected:
  void Put(Backend& host, std::size_t attempt, Deadline until, Done<Located> done) override;
  void Give(absl::StatusOr<Located> result) override;

 private:
  Deadline NextPage(std::size_t attempt, Deadline until);

  const std::string label_;
  const GoesOn goes_on_;
  // Asked by one host at a time, and by none after the answer: the lock is this call's alone, and
  // nothing else is done under it.
  Guarded<NextDeadline> next_;
};

class InspectCall : public TypedCall<KeyInfo> {
 public:
  InspectCall(std::string key, Deadline until, Done<KeyInfo> done)
      : TypedCall(std::move(key), until, Trust::kShown, std::move(done)) {}

  void GiveShown() override;

 protected:
  void Put(Backend& host, std::size_t attempt, Deadline until, Done<KeyInfo> done) override;
  Reply Means(const absl::StatusOr<KeyInfo>& result) override;

 private:
  Guarded<std::optional<KeyInfo>> shown_;  // that the key is unfit, by the first who showed it
};

class EncryptCall : public TypedCall<Ciphertext> {
 public:
  EncryptCall(Way way, std::string key, Secret plaintext, Deadline until, Done<Ciphertext> done)
      : TypedCall(std::move(key), until, Trust::kAnew, std::move(done)),
        way_(way),
        plaintext_(std::move(plaintext)) {}

 protected:
  void Put(Backend& host, std::size_t attempt, Deadline until, Done<Ciphertext> done) override;
  Reply Means(const absl::StatusOr<Ciphertext>& result) override;

 private:
  const Way way_;
  const Secret plaintext_;
};

class DecryptCall : public TypedCall<Secret> {
 public:
  DecryptCall(Way way, std::string key, Ciphertext ciphertext, Deadline until, Done<Secret> done)
      : TypedCall(std::move(key), until, Trust::kNone, std::move(done)),
        way_(way),
        ciphertext_(std::move(ciphertext)) {}

 protected:
  void Put(Backend& host, std::size_t attempt, Deadline until, Done<Secret> done) override;
  Reply Means(const absl::StatusOr<Secret>& result) override;

 private:
  const Way way_;
  const Ciphertext ciphertext_;
};

// Has hosts decrypt the record.
class ProbeCall : public DecryptCall {
 public:
  using Ended = std::function<void(const FailoverCall&)>;

  ProbeCall(const HostRecordPtr& record, Deadline until, Ended ended)
      : DecryptCall(Way::kChecks, record->key_id, record->ciphertext, until, {}),
        ended_(std::move(ended)) {
    probe = record;
  }

 protected:
  Reply Means(const absl::StatusOr<Secret>& result) override { return MeaningOf(*probe, result); }
  void Give(absl::StatusOr<Secret> /*result*/) override { ended_(*this); }

 private:
  const Ended ended_;
};

}  // namespace okms

#endif  // OKMS_CORE_FAILOVER_CALLS_H_
