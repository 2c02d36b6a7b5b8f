// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What tells whether a host of the KMS has the same keys as the others.

#ifndef OKMS_CORE_HOST_RECORDS_H_
#define OKMS_CORE_HOST_RECORDS_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/secret.h"
#include "core/backend.h"

namespace okms {

// What a check had encrypted: random bytes, nobody's secret.
struct HostRecord {
  std::string key_id;
  Ciphertext ciphertext;
  Secret plaintext;
  std::size_t maker;  // the host that encrypted it
};
// Shared: calls under way try a host with it while another takes its place.
using HostRecordPtr = std::shared_ptr<const HostRecord>;

// One record of each of the keys that were checked last, and which hosts have decrypted it. It
// counts from when somebody has, so a wrong ciphertext speaks against no host. Pure; not
// thread-safe.
class HostRecords {
 public:
  static constexpr std::size_t kMostKeys = 4;

  explicit HostRecords(std::size_t hosts) : hosts_(hosts) {}

  bool empty() const { return Newest() == nullptr; }
  // That of the key that was checked last. Null: there is none of any key.
  HostRecordPtr Newest() const;
  // That of the key; the newest, where the key has none.
  HostRecordPtr For(const std::string& key_id) const;
  // Whether the host has decrypted it, or made it. So it is with no record.
  bool Reads(const HostRecordPtr& record, std::size_t host) const;

  // A check's Encrypt and Decrypt went well. The second returns whether a record counts by it that
  // did not before.
  void Encrypted(const std::string& key_id, const Secret& plaintext, const Ciphertext& ciphertext,
                 std::size_t host);
  bool Decrypted(const std::string& key_id, const Ciphertext& ciphertext, const Secret& plaintext,
                 std::size_t host);
  // The host does not decrypt it, or not any more.
  void Refused(const HostRecordPtr& record, std::size_t host);
  // The host was away; it may be another one when it comes back.
  void Forget(std::size_t host);
  // Whether each host has decrypted it at any time, or made it.
  bool EachHasRead(const HostRecordPtr& record) const;
  // The record proves nothing any more.
  void Drop(const HostRecordPtr& record);

 private:
  enum class Read { kNever, kOnce, kLately };
  struct Entry {
    HostRecordPtr record;
    std::vector<Read> by_host;
    bool counts = false;
  };

  // Null: it is not known any more.
  const Entry* Find(const HostRecordPtr& record) const;
  static void Doubt(Read& read);

  const std::size_t hosts_;
  std::vector<Entry> entries_;  // one a key, the last checked first
};

}  // namespace okms

#endif  // OKMS_CORE_HOST_RECORDS_H_
