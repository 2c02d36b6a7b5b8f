// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "control/bus_facts.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status.h"

namespace okms {
namespace {

constexpr std::size_t kLongestText = 1000;  // bytes

std::string Text(const std::string& text) { return Printable(text, kLongestText); }

}  // namespace

BusFacts FactsOf(const Report& report) {
  BusFacts facts;
  facts.version = report.version;
  facts.protocol = report.protocol;
  facts.sandbox = Text(report.sandbox);
  facts.ready = report.ready;
  facts.reason = Text(report.reason);
  facts.key_id_hash = report.key.id_hash;
  for (const ReportedHost& host : report.hosts) {
    facts.endpoints.push_back({Text(host.name), host.up, Text(host.trouble)});
    for (const auto& [outcome, count] : host.requests) {
      facts.kms_requests += count;
      if (outcome != "succeeded") facts.kms_failures += count;
    }
  }
  for (const ReportedCertificate& certificate : report.certificates) {
    facts.certificate_not_after[Text(certificate.file)] =
        static_cast<uint64_t>(certificate.not_after);
  }
  for (const ReportedMethod& method : report.methods) {
    for (const auto& [code, count] : method.by_code) {
      facts.requests += count;
      if (code != "OK") facts.failures += count;
    }
  }
  facts.adoptions = report.adoptions;
  return facts;
}

void LastErrors::Saw(const Report& report) {
  // Before the first check has ended nothing is known, and nothing wrong.
  const bool looked = std::any_of(report.checks.begin(), report.checks.end(),
                                  [](const auto& outcome) { return outcome.second > 0; });
  if (looked) Saw("", report.reason, report.now);
  for (const ReportedHost& host : report.hosts) {
    if (host.trouble != report.reason) Saw(host.name, host.trouble, report.now);
  }
  if (report.reload) Saw("reload", report.reload->trouble, report.now);
}

void LastErrors::Saw(const std::string& about, const std::string& text, double now) {
  if (std::exchange(said_[about], text) == text || text.empty()) return;
  const std::string time = absl::FormatTime(
      "%Y-%m-%dT%H:%M:%SZ", absl::FromUnixSeconds(static_cast<int64_t>(now)), absl::UTCTimeZone());
  lines_.push_front(absl::StrCat(time, " ", Text(text)));
  if (lines_.size() > kMost) lines_.pop_back();
}

}  // namespace okms
