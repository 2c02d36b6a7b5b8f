// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// FailoverState decides; here is what it decides about: calls, hosts, and time.

#include "core/failover.h"

#include <openssl/rand.h>

#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/debug.h"
#include "base/status.h"
#include "core/failover_calls.h"
#include "core/health.h"

namespace okms {
namespace {

constexpr std::size_t kLongestReason = 200;  // bytes, in a line of state

std::vector<std::string> NamesOf(const std::vector<Failover::Host>& hosts) {
  std::vector<std::string> names;
  for (const Failover::Host& host : hosts) names.push_back(host.name);
  return names;
}

}  // namespace

Failover::Failover(std::vector<Host> hosts, CallAt call_at, const Logger& log,
                   std::function<Deadline()> now)
    : call_at_(std::move(call_at)),
      log_(log),
      now_(std::move(now)),
      state_(NamesOf(hosts), now_()),
      hosts_(std::move(hosts)) {}

Failover::~Failover() {
  std::future<void> left = inside_->left.get_future();
  inside_.reset();
  left.wait();  // for who is within a host's call, which does not block
}

template <typename F>
auto Failover::With(F function) {
  std::array<std::optional<Deadline>, 2> set;
  auto result = state_.With([&](State& state) {
    auto returned = function(state.hosts);
    // Under the lock, so that lines come in the order of what they say.
    for (const Event& event : state.hosts.health().TakeEvents()) log_.Write(event);
    const std::array wanted{state.hosts.NextLook(), state.hosts.NextProbe()};
    for (const Alarm alarm : {kLook, kProbe}) {
      if (wanted[alarm] < state.alarms[alarm]) set[alarm] = state.alarms[alarm] = wanted[alarm];
    }
    return returned;
  });
  for (const Alarm alarm : {kLook, kProbe}) {
    if (!set[alarm]) continue;
    call_at_(*set[alarm], [this, door = door_, alarm, set_to = *set[alarm]] {
      if (const auto inside = door.lock()) Ring(alarm, set_to);
    });
  }
  return result;
}

// ---- Calls

void Failover::Locate(const std::string& label, NextDeadline deadline, Done<Located> done) {
  const auto goes_on = [this](FailoverCall& call, std::size_t attempt, Deadline until) {
    state_.With([&](State& state) { state.hosts.GoesOn(call, attempt, until, now_()); });
  };
  Begin(std::make_shared<LocateCall>(label, std::move(deadline), goes_on, std::move(done)));
}

void Failover::Inspect(const std::string& key_id, Deadline deadline, Done<KeyInfo> done) {
  Begin(std::make_shared<InspectCall>(key_id, deadline, std::move(done)));
}

void Failover::Encrypt(Way way, const std::string& key_id, Secret plaintext, Deadline deadline,
                       Done<Ciphertext> done) {
  Begin(
      std::make_shared<EncryptCall>(way, key_id, std::move(plaintext), deadline, std::move(done)));
}

void Failover::Decrypt(Way way, const std::string& key_id, Ciphertext ciphertext, Deadline deadline,
                       Done<Secret> done) {
  Begin(
      std::make_shared<DecryptCall>(way, key_id, std::move(ciphertext), deadline, std::move(done)));
}

void Failover::Begin(const FailoverCallPtr& call) {
  Do(With([&](FailoverState& hosts) { return hosts.Begin(call, now_()); }));
}

void Failover::Do(const Step& step) {
  switch (step.what) {
    case Step::Do::kAsk: Ask(step); break;
    case Step::Do::kFail: step.call->Fail(step.status); break;
    case Step::Do::kGiveShown: step.call->GiveShown(); break;
    case Step::Do::kGive:  // by who has the answer at hand
    case Step::Do::kWait: break;
  }
}

void Failover::Ask(const Step& step) {
  auto replied = [this, call = step.call, attempt = step.attempt](Reply reply,
                                                                  absl::FunctionRef<void()> give) {
    Answered(call, attempt, std::move(reply), give);
  };
  const auto inside = door_.lock();
  if (inside == nullptr) {
    replied({Meaning::kNothing, absl::CancelledError("the plugin is about to end")}, [] {});
    return;
  }
  const Host& host = hosts_[step.host];
  Debug([&] {
    return absl::StrCat(host.name,
                        step.trial ? " is tried by what another one encrypted" : " is asked",
                        step.attempt > 0 ? ", too" : "");
  });
  if (step.trial) {
    host.backend->Decrypt(Way::kChecks, step.trial->key_id, step.trial->ciphertext, step.deadline,
                          [trial = step.trial, replied = std::move(replied)](
                              const absl::StatusOr<Secret>& result) mutable {
                            replied(MeaningOf(*trial, result), [] {});
                          });
  } else {
    step.call->Ask(*host.backend, step.attempt, step.deadline, std::move(replied));
  }
}

void Failover::Answered(const FailoverCallPtr& call, std::size_t attempt, Reply reply,
                        absl::FunctionRef<void()> give) {
  const Step step = With([&](FailoverState& hosts) {
    return hosts.Answered(call, attempt, std::move(reply), now_());
  });
  if (step.what == Step::Do::kGive) {
    give();
  } else {
    Do(step);
  }
}

// ---- Time

void Failover::Ring(Alarm alarm, Deadline set_to) {
  state_.With([&](State& state) {
    if (state.alarms[alarm] == set_to) state.alarms[alarm] = Deadline::max();
  });
  const auto [steps, probes] = With([&](FailoverState& hosts) {
    const Deadline now = now_();
    return std::pair(hosts.Look(now), hosts.BeginProbes(now));
  });
  for (const Step& step : steps) Do(step);
  for (const std::size_t host : probes.first) Probe(host, probes.second);
}

void Failover::Probe(std::size_t host, const HostRecordPtr& record) {
  const auto ended = [this](const FailoverCall& call) {
    uint8_t jitter = 0;
    if (RAND_bytes(&jitter, 1) != 1) jitter = 0;
    With([&](FailoverState& hosts) {
      hosts.EndProbe(call, now_(), jitter);
      return 0;
    });
  };
  const auto call = std::make_shared<ProbeCall>(record, now_() + FailoverState::kProbeTime, ended);
  Do(With([&](FailoverState& hosts) { return hosts.BeginProbe(call, host, now_()); }));
}

std::string Failover::Outages() const {
  std::vector<std::string> outages;
  for (const HostState& host : Hosts()) {
    if (host.up) continue;
    const std::string why = Printable(host.trouble.message(), kLongestReason);
    outages.push_back(absl::StrCat(host.name, " out", HowLong(host.since, now_(), why)));
  }
  return absl::StrJoin(outages, "; ");
}

std::vector<Failover::HostState> Failover::Hosts() const {
  return state_.With([](const State& state) {
    std::vector<HostState> states;
    for (const HostHealth::Host& host : state.hosts.health().hosts()) {
      const bool disagrees = host.standing == HostHealth::Standing::kDisagrees;
      states.push_back({host.name, host.standing == HostHealth::Standing::kUp,
                        disagrees ? Annotate(host.trouble, "it disagrees") : host.trouble,
                        host.since});
    }
    return states;
  });
}

}  // namespace okms
