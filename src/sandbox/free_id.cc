// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "sandbox/free_id.h"

#include <grp.h>
#include <pwd.h>

#include <cstdint>

namespace okms::sandbox {
namespace {

constexpr uid_t kCount = kLastFreeId - kFirstFreeId + 1;

// Ours, and by chance nobody else's: FNV-1a of the service's name, modulo their number.
constexpr uid_t Preferred() {
  uint32_t hash = 2166136261U;
  for (const char* c = "okms-k8s-encryption-provider"; *c != '\0'; ++c) {
    hash = (hash ^ static_cast<unsigned char>(*c)) * 16777619U;
  }
  return hash % kCount;
}

}  // namespace

bool IsTaken(uid_t id) { return ::getpwuid(id) != nullptr || ::getgrgid(id) != nullptr; }

std::optional<uid_t> FreeId(const std::function<bool(uid_t)>& is_taken) {
  for (uid_t i = 0; i < kCount; ++i) {
    const uid_t id = kFirstFreeId + (Preferred() + i) % kCount;
    if (!is_taken(id)) return id;
  }
  return std::nullopt;
}

}  // namespace okms::sandbox
