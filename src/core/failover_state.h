// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Which host of the KMS is asked, and what its answer means.

#ifndef OKMS_CORE_FAILOVER_STATE_H_
#define OKMS_CORE_FAILOVER_STATE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/failover_call.h"
#include "core/host_health.h"
#include "core/host_records.h"

namespace okms {

// Pure: the time is given, and nothing is done but what a Step says. Not thread-safe.
class FailoverState {
 public:
  // An attempt that is so old, at a host that has answered nobody for as long, is silent. Twice as
  // old as its answers are at the least, where that is more.
  static constexpr std::chrono::milliseconds kSilence{250};
  // Nobody waits longer than this for a silent host when a trusted one has refused, and none takes
  // so long without being silent.
  static constexpr std::chrono::milliseconds kHopeless{1'000};
  // With less time left no further host is asked: none would answer.
  static constexpr std::chrono::milliseconds kTooShort{10};
  static constexpr std::chrono::milliseconds kProbeTime{2'000};

  struct Step {
    enum class Do {
      kWait,
      kAsk,        // `host`, with `trial` or the call itself, until `deadline`
      kGive,       // the answer that has just come
      kGiveShown,  // that of the first host that showed an unfit key
      kFail,       // with `status`
    } what = Do::kWait;
    FailoverCallPtr call;
    std::size_t attempt = 0;
    std::size_t host = 0;
    HostRecordPtr trial;
    Deadline deadline;
    absl::Status status;
  };

  FailoverState(std::vector<std::string> names, Deadline now);

  Step Begin(const FailoverCallPtr& call, Deadline now) { return Next(call, now); }
  Step Answered(const FailoverCallPtr& call, std::size_t attempt, Reply reply, Deadline now);
  // A list goes on: the host has answered, and the next page is to be there by `deadline`.
  void GoesOn(FailoverCall& call, std::size_t attempt, Deadline deadline, Deadline now);

  // What silence makes necessary.
  std::vector<Step> Look(Deadline now);
  Deadline NextLook() const;

  // The hosts to be probed, and by what.
  std::pair<std::vector<std::size_t>, HostRecordPtr> BeginProbes(Deadline now);
  Step BeginProbe(const FailoverCallPtr& call, std::size_t host, Deadline now);
  void EndProbe(const FailoverCall& call, Deadline now, uint8_t jitter);
  Deadline NextProbe() const;

  HostHealth& health() { return health_; }
  const HostHealth& health() const { return health_; }

 private:
  using Standing = HostHealth::Standing;

  const std::string& NameOf(std::size_t host) const { return health_.hosts()[host].name; }
  std::chrono::milliseconds PatienceWith(std::size_t host) const;
  Step Next(const FailoverCallPtr& call, Deadline now);
  std::optional<std::size_t> Choose(const FailoverCall& call, Deadline now) const;
  Step Ask(const FailoverCallPtr& call, std::size_t attempt, Deadline now);
  Step Add(const FailoverCallPtr& call, std::size_t host, Deadline now);
  Step End(const FailoverCallPtr& call, Deadline now);
  // Names each host, with the code and the detail of the `decisive` answer.
  absl::Status Summary(const FailoverCall& call, const Attempt& decisive) const;
  // Whether hosts with other keys are not asked.
  bool Restricted(const FailoverCall& call) const {
    return call.trust != FailoverCall::Trust::kNone && !records_.empty();
  }

  void Learn(const FailoverCall& call, const Attempt& attempt, const Reply& reply, Deadline now);
  void Failed(std::size_t host, const absl::Status& status, Deadline now);
  // What the answers, beside each other, say of hosts.
  void Compare(const FailoverCall& call, Deadline now);

  void LookAt(const FailoverCallPtr& call, std::size_t attempt, Deadline when);
  void LookNoMore(Attempt& attempt);

  HostHealth health_;
  HostRecords records_;
  Looks looks_;
};

}  // namespace okms

#endif  // OKMS_CORE_FAILOVER_STATE_H_
