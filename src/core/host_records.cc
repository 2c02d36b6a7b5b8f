// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/host_records.h"

#include <algorithm>
#include <utility>

namespace okms {

HostRecordPtr HostRecords::Newest() const {
  for (const Entry& entry : entries_) {
    if (entry.counts) return entry.record;
  }
  return nullptr;
}

HostRecordPtr HostRecords::For(const std::string& key_id) const {
  for (const Entry& entry : entries_) {
    if (entry.counts && entry.record->key_id == key_id) return entry.record;
  }
  return Newest();
}

bool HostRecords::Reads(const HostRecordPtr& record, std::size_t host) const {
  if (record == nullptr) return true;
  const Entry* entry = Find(record);
  return entry != nullptr && entry->by_host[host] == Read::kLately;
}

void HostRecords::Encrypted(const std::string& key_id, const Secret& plaintext,
                            const Ciphertext& ciphertext, std::size_t host) {
  const auto known = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.record->key_id == key_id;
  });
  if (known != entries_.end() && known->counts) {
    std::rotate(entries_.begin(), known, known + 1);
    return;
  }
  if (known != entries_.end()) entries_.erase(known);
  auto record = std::make_shared<HostRecord>();
  record->key_id = key_id;
  record->ciphertext = ciphertext;
  record->plaintext = Secret(plaintext.Reveal());
  record->maker = host;
  Entry entry{std::move(record), std::vector(hosts_, Read::kNever), false};
  entry.by_host[host] = Read::kLately;
  entries_.insert(entries_.begin(), std::move(entry));
  if (entries_.size() > kMostKeys) entries_.pop_back();
}

bool HostRecords::Decrypted(const std::string& key_id, const Ciphertext& ciphertext,
                            const Secret& plaintext, std::size_t host) {
  const auto entry = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) {
    return e.record->key_id == key_id && e.record->ciphertext.bytes == ciphertext.bytes &&
           e.record->ciphertext.annotations == ciphertext.annotations;
  });
  if (entry == entries_.end() || !entry->record->plaintext.Equals(plaintext)) return false;
  entry->by_host[host] = Read::kLately;
  return !std::exchange(entry->counts, true);
}

void HostRecords::Refused(const HostRecordPtr& record, std::size_t host) {
  for (Entry& entry : entries_) {
    if (entry.record == record) Doubt(entry.by_host[host]);
  }
}

void HostRecords::Forget(std::size_t host) {
  for (Entry& entry : entries_) Doubt(entry.by_host[host]);
}

bool HostRecords::EachHasRead(const HostRecordPtr& record) const {
  const Entry* entry = Find(record);
  return entry != nullptr &&
         std::count(entry->by_host.begin(), entry->by_host.end(), Read::kNever) == 0;
}

void HostRecords::Doubt(Read& read) {
  if (read == Read::kLately) read = Read::kOnce;
}

const HostRecords::Entry* HostRecords::Find(const HostRecordPtr& record) const {
  const auto entry = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& e) { return e.record == record; });
  return entry == entries_.end() ? nullptr : &*entry;
}

void HostRecords::Drop(const HostRecordPtr& record) {
  std::erase_if(entries_, [&](const Entry& entry) { return entry.record == record; });
}

}  // namespace okms
