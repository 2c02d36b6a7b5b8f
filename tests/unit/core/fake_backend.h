// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A KMS whose answers the test gives by hand.

#ifndef OKMS_TESTS_UNIT_CORE_FAKE_BACKEND_H_
#define OKMS_TESTS_UNIT_CORE_FAKE_BACKEND_H_

#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/backend.h"

namespace okms::test {

class FakeBackend : public Backend {
 public:
  template <typename T>
  struct Call {
    Way way = Way::kDecrypts;
    std::string name;   // the key's id, or the label
    std::string input;  // plaintext or ciphertext
    Deadline deadline;
    Done<T> done;
  };

  void Locate(const std::string& label, NextDeadline deadline, Done<Located> done) override {
    locate.push_back({Way::kChecks, label, "", deadline(), std::move(done)});
  }
  void Inspect(const std::string& key_id, Deadline deadline, Done<KeyInfo> done) override {
    inspect.push_back({Way::kChecks, key_id, "", deadline, std::move(done)});
  }
  void Encrypt(Way way, const std::string& key_id, Secret plaintext, Deadline deadline,
               Done<Ciphertext> done) override {
    encrypt.push_back(
        {way, key_id, std::string(AsText(plaintext.Reveal())), deadline, std::move(done)});
  }
  void Decrypt(Way way, const std::string& key_id, Ciphertext ciphertext, Deadline deadline,
               Done<Secret> done) override {
    decrypt.push_back({way, key_id, ciphertext.bytes, deadline, std::move(done)});
  }

  // Answers the oldest call of that kind; gives back what it was about.
  template <typename T>
  static Call<T> Answer(std::deque<Call<T>>& calls, absl::StatusOr<T> result) {
    if (calls.empty()) {
      ADD_FAILURE() << "nobody asked";
      return {};
    }
    Call<T> call = std::move(calls.front());
    calls.pop_front();
    call.done(std::move(result));
    return call;
  }
  std::size_t pending() const {
    return locate.size() + inspect.size() + encrypt.size() + decrypt.size();
  }

  std::deque<Call<Located>> locate;
  std::deque<Call<KeyInfo>> inspect;
  std::deque<Call<Ciphertext>> encrypt;
  std::deque<Call<Secret>> decrypt;
};

using Labels = std::optional<std::vector<std::string>>;
// A key that is seen to be active, and one that is no more; without labels, they are hidden.
inline KeyInfo ActiveKey(Labels labels = {}) {
  KeyInfo info;
  info.active = {true, ""};
  info.labels = std::move(labels);
  return info;
}
inline KeyInfo DeactivatedKey(Labels labels = {}) {
  KeyInfo info = ActiveKey(std::move(labels));
  info.active = {false, "Deactivated, not Active"};
  return info;
}

inline Secret Plain(absl::string_view text) { return Secret(AsBytes(text)); }

}  // namespace okms::test

#endif  // OKMS_TESTS_UNIT_CORE_FAKE_BACKEND_H_
