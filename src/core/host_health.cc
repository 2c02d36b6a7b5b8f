// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/host_health.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace okms {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kProbeUp{30'000};
constexpr milliseconds kProbeOut{2'000};
constexpr int kGoodProbes = 2;

// A host that goes out again so soon after it was back is probed half as often each time, so that
// one that comes and goes is neither preferred nor spoken of all the time.
constexpr seconds kSoon{60};
constexpr int kMostRelapses = 5;  // a probe a minute

milliseconds Interval(const HostHealth::Host& host) {
  if (host.standing == HostHealth::Standing::kUp) return kProbeUp;
  return kProbeOut * (1 << host.relapses);
}

}  // namespace

HostHealth::HostHealth(std::vector<std::string> names, Deadline now) {
  for (std::string& name : names) {
    Host& host = hosts_.emplace_back();
    host.name = std::move(name);
    host.since = now;
  }
}

void HostHealth::Answered(std::size_t index, Clock::duration took, Deadline now) {
  Host& host = hosts_[index];
  host.answered = now;
  host.took[host.answers++ % host.took.size()] = took;
}

Clock::duration HostHealth::Quickest(std::size_t host) const {
  return *std::min_element(hosts_[host].took.begin(), hosts_[host].took.end());
}

bool HostHealth::GoOut(Host& host, Standing standing, const absl::Status& status, Deadline now) {
  const bool was_up = host.standing == Standing::kUp;
  if (was_up) {
    const bool soon = host.returned && now - host.since < kSoon;
    host.relapses = soon ? std::min(host.relapses + 1, kMostRelapses) : 0;
    host.since = now;
  }
  host.standing = standing;
  host.trouble = status;
  host.good_probes = 0;
  if (was_up && host.next_probe != Deadline::max()) host.next_probe = now + Interval(host);
  return was_up;
}

void HostHealth::Failed(std::size_t index, const absl::Status& status, Deadline now) {
  Host& host = hosts_[index];
  if (host.standing == Standing::kDisagrees) {  // which is worse, and stays
    host.good_probes = 0;
    return;
  }
  if (!GoOut(host, Standing::kOut, status, now)) return;
  events_.push_back({Severity::kWarning, EventName::kHostOut,
                     absl::StrCat(host.name, " is out: ", Describe(status), "; ", WhoServes())});
}

void HostHealth::Disagrees(std::size_t index, const absl::Status& status, Deadline now) {
  Host& host = hosts_[index];
  const bool known = host.standing == Standing::kDisagrees;
  GoOut(host, Standing::kDisagrees, status, now);
  if (known) return;
  events_.push_back({Severity::kError, EventName::kHostDisagrees,
                     absl::StrCat(host.name, " disagrees, and is not used to encrypt: ",
                                  Describe(status), "; ", WhoServes())});
}

std::vector<std::size_t> HostHealth::BeginProbes(Deadline now) {
  std::vector<std::size_t> due;
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    if (hosts_[i].next_probe > now) continue;
    hosts_[i].next_probe = Deadline::max();
    hosts_[i].probed = now;
    due.push_back(i);
  }
  return due;
}

void HostHealth::EndProbe(std::size_t index, bool good, Deadline now, uint8_t jitter) {
  Host& host = hosts_[index];
  if (host.standing != Standing::kUp) {
    // One that began before it went out tells nothing.
    if (host.probed >= host.since) host.good_probes = good ? host.good_probes + 1 : 0;
    if (host.good_probes == kGoodProbes) {
      const auto away = std::chrono::duration_cast<seconds>(now - host.since).count();
      host.standing = Standing::kUp;
      host.trouble = absl::OkStatus();
      host.since = now;
      host.returned = true;
      events_.push_back({Severity::kNotice, EventName::kHostBack,
                         absl::StrCat(host.name, " is back after ", away, " s; ", WhoServes())});
    }
  }
  const milliseconds full = Interval(host);
  host.next_probe = now + full - full * jitter / 1024;  // up to a quarter less
}

void HostHealth::ProbeSoon(Deadline now) {
  for (Host& host : hosts_) {
    if (host.next_probe != Deadline::max()) host.next_probe = std::min(host.next_probe, now);
  }
}

Deadline HostHealth::NextProbe() const {
  Deadline next = Deadline::max();
  for (const Host& host : hosts_) next = std::min(next, host.next_probe);
  return next;
}

std::string HostHealth::WhoServes() const {
  const auto up = std::find_if(hosts_.begin(), hosts_.end(),
                               [](const Host& host) { return host.standing == Standing::kUp; });
  return up == hosts_.end() ? "none is up, so calls try one after the other"
                            : absl::StrCat(up->name, " serves");
}

}  // namespace okms
