// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Which hosts of the KMS are up.

#ifndef OKMS_CORE_HOST_HEALTH_H_
#define OKMS_CORE_HOST_HEALTH_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/deadline.h"
#include "base/event.h"

namespace okms {

// Pure: the time is given, and nothing is done. Not thread-safe. Each host is up at first; one that
// goes out is probed, and up again after two good probes running.
class HostHealth {
 public:
  enum class Standing {
    kUp,
    kOut,        // it does not answer, or makes no sense
    kDisagrees,  // it refuses what another one can
  };
  struct Host {
    std::string name;
    Standing standing = Standing::kUp;
    absl::Status trouble;  // OK while it is up
    Deadline since;        // when it went out, or was back
    Deadline answered;     // when it last said anything to anybody; the epoch: never
    std::array<Clock::duration, 8> took{};  // the last answers, in a ring
    std::size_t answers = 0;
    Deadline next_probe;  // the end of time while one is under way
    Deadline probed;      // when the last probe began
    int good_probes = 0;  // running, since it went out
    bool returned = false;
    int relapses = 0;  // times in a row that it went out soon after it was back
  };

  HostHealth(std::vector<std::string> names, Deadline now);

  const std::vector<Host>& hosts() const { return hosts_; }

  void Answered(std::size_t host, Deadline now) { hosts_[host].answered = now; }
  void Answered(std::size_t host, Clock::duration took, Deadline now);
  // What the quickest of its last eight answers took; zero: it has not given so many. One hang
  // among quick answers, or one among many calls that waited for it, does not count.
  Clock::duration Quickest(std::size_t host) const;
  void Failed(std::size_t host, const absl::Status& status, Deadline now);
  void Disagrees(std::size_t host, const absl::Status& status, Deadline now);

  // Whose probe is due; it begins.
  std::vector<std::size_t> BeginProbes(Deadline now);
  // `good`: it did not fail. `jitter`, a random number, keeps several control planes from knocking
  // in step.
  void EndProbe(std::size_t host, bool good, Deadline now, uint8_t jitter);
  // There is something new to ask all.
  void ProbeSoon(Deadline now);
  Deadline NextProbe() const;

  // What the log is to be told, once.
  std::vector<Event> TakeEvents() { return std::exchange(events_, {}); }

 private:
  bool GoOut(Host& host, Standing standing, const absl::Status& status, Deadline now);
  std::string WhoServes() const;

  std::vector<Host> hosts_;  // the preferred one first
  std::vector<Event> events_;
};

}  // namespace okms

#endif  // OKMS_CORE_HOST_HEALTH_H_
