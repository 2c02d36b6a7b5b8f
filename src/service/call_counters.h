// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What became of the calls, and how long they took.

#ifndef OKMS_SERVICE_CALL_COUNTERS_H_
#define OKMS_SERVICE_CALL_COUNTERS_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/counter.h"
#include "base/histogram.h"

namespace okms {

enum class KmsMethod { kStatus, kEncrypt, kDecrypt };
inline constexpr std::array<const char*, 3> kKmsMethodNames = {"Status", "Encrypt", "Decrypt"};

struct MethodStats {
  std::string method;
  std::map<std::string, uint64_t> by_code;  // "UNAVAILABLE"; those that there were
  Distribution seconds;                     // of all, however they ended
};

// Thread-safe.
class CallCounters {
 public:
  void Answered(KmsMethod method, absl::StatusCode code, std::chrono::nanoseconds took) {
    OfMethod& of = methods_[static_cast<std::size_t>(method)];
    of.by_code[static_cast<std::size_t>(code) % kCodes].Add();
    of.took.Add(took);
  }

  std::vector<MethodStats> Stats() const {
    std::vector<MethodStats> all;
    for (std::size_t i = 0; i < methods_.size(); ++i) {
      MethodStats& one = all.emplace_back();
      one.method = kKmsMethodNames[i];
      for (std::size_t code = 0; code < kCodes; ++code) {
        const uint64_t count = methods_[i].by_code[code].value();
        if (count == 0) continue;
        one.by_code[absl::StatusCodeToString(static_cast<absl::StatusCode>(code))] = count;
      }
      one.seconds = methods_[i].took.Stats();
    }
    return all;
  }

 private:
  static constexpr std::size_t kCodes = 17;  // gRPC has no more

  struct OfMethod {
    std::array<Counter, kCodes> by_code;
    TimeHistogram took;
  };
  std::array<OfMethod, kKmsMethodNames.size()> methods_;
};

}  // namespace okms

#endif  // OKMS_SERVICE_CALL_COUNTERS_H_
