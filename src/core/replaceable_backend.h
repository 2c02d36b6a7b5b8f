// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A KMS by a way that can be replaced while it is used: new certificates are a new backend.

#ifndef OKMS_CORE_REPLACEABLE_BACKEND_H_
#define OKMS_CORE_REPLACEABLE_BACKEND_H_

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/guarded.h"
#include "core/backend.h"

namespace okms {

// Each call goes to the backend of its beginning, and ends there: none is lost when that one is
// replaced. But where the way failed, and there is another one by then, that is tried, too: an old
// certificate may not be taken any more. One that was replaced is destroyed when its last call has
// ended; never by whoever ends that, since its end may wait for just that thread, but by Sweep.
class ReplaceableBackend : public Backend {
 public:
  explicit ReplaceableBackend(std::unique_ptr<Backend> first) { Replace(std::move(first)); }

  // Thread-safe; does not block. Calls that begin from now on go to `next`.
  void Replace(std::unique_ptr<Backend> next);

  // Destroys those that were replaced and have no call left. Call it every now and then, where
  // backends may be destroyed: not from the answer of a call. Whether others are left.
  bool Sweep();

  void Locate(const std::string& label, NextDeadline deadline, Done<Located> done) override;
  void Inspect(const std::string& key_id, Deadline deadline, Done<KeyInfo> done) override;
  void Encrypt(Way way, const std::string& key_id, Secret plaintext, Deadline deadline,
               Done<Ciphertext> done) override;
  void Decrypt(Way way, const std::string& key_id, Ciphertext ciphertext, Deadline deadline,
               Done<Secret> done) override;

 private:
  struct Inner {
    explicit Inner(std::unique_ptr<Backend> its) : backend(std::move(its)) {}

    std::atomic<std::size_t> leases = 0;
    const std::unique_ptr<Backend> backend;  // last: what it cancels gives its lease back
  };
  struct State {
    std::unique_ptr<Inner> current;
    // Last: whose call it cancels may ask again, and that goes to the current one.
    std::vector<std::unique_ptr<Inner>> retired;
  };

  // As long as it is there, so is the backend.
  class Lease {
   public:
    explicit Lease(Inner& inner) : inner_(&inner) { ++inner_->leases; }
    Lease(const Lease& other) : Lease(*other.inner_) {}
    Lease& operator=(const Lease&) = delete;
    ~Lease() { --inner_->leases; }
    Backend& operator*() const { return *inner_->backend; }
    bool IsOf(const Inner& inner) const { return inner_ == &inner; }

   private:
    Inner* const inner_;
  };
  Lease Current() const;
  bool IsCurrent(const Lease& lease) const;
  // `ask(backend, done)` may be called several times, by whoever answers as well.
  template <typename T, typename Ask>
  void Go(std::shared_ptr<const Ask> ask, Deadline deadline, Done<T> done);

  Guarded<State> state_;
};

}  // namespace okms

#endif  // OKMS_CORE_REPLACEABLE_BACKEND_H_
