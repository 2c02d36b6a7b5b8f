// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Several hosts of one KMS, of which one after the other may be away.

#ifndef OKMS_CORE_FAILOVER_H_
#define OKMS_CORE_FAILOVER_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "base/deadline.h"
#include "base/guarded.h"
#include "base/log.h"
#include "core/backend.h"
#include "core/failover_state.h"

namespace okms {

// Several hosts with one set of keys, the preferred one first. Thread-safe, and as non-blocking as
// the hosts are.
//
// A call goes to the first host that is up; when none is, to all of them in order.
// - Who fails (kUnavailable, kDeadlineExceeded with time left, kUnauthenticated, kDataLoss) is out,
//   and the next one is asked at once.
// - Who is silent for 250 ms, to everybody, has the next one asked beside it. The first good answer
//   is the answer; the silent one is out when another one gave it. A slow KMS that answers others
//   is not silent, so a herd does not spill over.
// - Who refuses (kNotFound, kPermissionDenied, kFailedPrecondition, kInvalidArgument, an Inspect
//   that shows an unfit key) has the next one asked. If that one can, the first *disagrees*, and is
//   out; if no other can, the refusal is the answer, and nobody is out.
// - kResourceExhausted and kCancelled are passed on as they are.
// Who is out is probed, and back after two good probes running.
//
// So that hosts whose keys differ change no key and encrypt nothing: once a check's round trip was
// made (Way::kChecks), a host may Encrypt, Inspect and Locate only when it has decrypted what that
// check encrypted; it is tried with it first, if need be. A host that disagrees gets Decrypts
// alone, as the last one: what they give is authentic by GCM.
//
// An error names each host that was asked. kDeadlineExceeded means that the time is over.
class Failover : public Backend {
 public:
  using Host = BackendHost;
  // Calls that function then or a little later, on any thread, never before it returns.
  using CallAt = std::function<void(Deadline, absl::AnyInvocable<void()>)>;

  // `log` must outlive this. `now` is for tests.
  Failover(std::vector<Host> hosts, CallAt call_at, const Logger& log,
           std::function<Deadline()> now = Clock::now);
  // What `call_at` still has does nothing any more. Not from within a callback.
  ~Failover() override;

  void Locate(const std::string& label, NextDeadline deadline, Done<Located> done) override;
  void Inspect(const std::string& key_id, Deadline deadline, Done<KeyInfo> done) override;
  void Encrypt(Way way, const std::string& key_id, Secret plaintext, Deadline deadline,
               Done<Ciphertext> done) override;
  void Decrypt(Way way, const std::string& key_id, Ciphertext ciphertext, Deadline deadline,
               Done<Secret> done) override;

  struct HostState {
    std::string name;
    bool up;
    absl::Status trouble;  // OK while it is up
    Deadline since;        // when it went out, or was back; at first, the start
  };
  // In the order in which they are preferred.
  std::vector<HostState> Hosts() const;
  // Those that are not up, for a line of state: "kms-a:5696 out for 12 s (connect: ...)"; empty:
  // all are up.
  std::string Outages() const;

 private:
  using Step = FailoverState::Step;
  enum Alarm : std::size_t { kLook, kProbe };
  struct State {
    State(std::vector<std::string> names, Deadline now) : hosts(std::move(names), now) {}

    FailoverState hosts;
    // What `call_at` was last asked for; another time only when it is earlier.
    std::array<Deadline, 2> alarms{Deadline::max(), Deadline::max()};
  };
  // Held by whoever calls a host, or is about to.
  struct Inside {
    std::promise<void> left;
    ~Inside() { left.set_value(); }
  };

  // Runs the function under the lock; logs what is new, and sets alarms.
  template <typename F>
  auto With(F function);
  void Begin(const FailoverCallPtr& call);
  void Do(const Step& step);
  void Ask(const Step& step);
  void Answered(const FailoverCallPtr& call, std::size_t attempt, Reply reply,
                absl::FunctionRef<void()> give);
  void Ring(Alarm alarm, Deadline set_to);
  void Probe(std::size_t host, const HostRecordPtr& record);

  const CallAt call_at_;
  const Logger& log_;
  const std::function<Deadline()> now_;
  Guarded<State> state_;
  std::shared_ptr<Inside> inside_ = std::make_shared<Inside>();  // the weak ones end with it
  const std::weak_ptr<Inside> door_ = inside_;
  std::vector<Host> hosts_;  // last: their threads call back into all above
};

}  // namespace okms

#endif  // OKMS_CORE_FAILOVER_H_
