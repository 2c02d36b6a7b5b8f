// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The report as the properties of an object on the bus.

#ifndef OKMS_CONTROL_BUS_FACTS_H_
#define OKMS_CONTROL_BUS_FACTS_H_

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "control/report.h"

namespace okms {

// Each member is a property. Texts are printable ASCII: the bus carries nothing but UTF-8.
struct BusFacts {
  struct Endpoint {
    std::string name;
    bool up = false;
    std::string trouble;
    bool operator==(const Endpoint&) const = default;
  };

  // These stay.
  std::string version;
  std::string protocol;
  std::string sandbox;
  // Changes of these are told.
  bool ready = false;
  std::string reason;
  std::string key_id_hash;
  std::vector<Endpoint> endpoints;
  std::vector<std::string> last_errors;
  std::map<std::string, uint64_t> certificate_not_after;  // Unix time by option
  // These count, and are not.
  uint64_t requests = 0;      // of KMS v2 that were answered
  uint64_t failures = 0;      // of these, with an error
  uint64_t kms_requests = 0;  // to the KMS, of all hosts, that have ended
  uint64_t kms_failures = 0;  // of these, those without a success
  uint64_t adoptions = 0;
};

// All but the last errors, which no single report knows.
BusFacts FactsOf(const Report& report);

// What was wrong lately: reasons not to be ready, hosts, files that are not used. By the reports
// that it has seen, so what comes and goes between two of them is not there.
class LastErrors {
 public:
  static constexpr std::size_t kMost = 8;

  void Saw(const Report& report);
  // "2026-11-28T08:10:02Z TEXT", the newest first.
  std::vector<std::string> Lines() const { return {lines_.begin(), lines_.end()}; }

 private:
  void Saw(const std::string& about, const std::string& text, double now);

  std::map<std::string, std::string> said_;  // the last text by what it is about
  std::deque<std::string> lines_;
};

}  // namespace okms

#endif  // OKMS_CONTROL_BUS_FACTS_H_
