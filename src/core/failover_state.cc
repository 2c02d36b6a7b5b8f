// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Two things are kept apart. A host is *up* while it answers; that decides whom to ask first. It is
// *trusted* while it reads the record of the key; that decides who may encrypt, whose word counts
// against a key, and who tells that another one disagrees.

#include "core/failover_state.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace okms {
namespace {

using std::chrono::milliseconds;

bool IsAnswer(const Reply& reply) {
  return reply.meaning != Meaning::kNothing && !absl::IsUnavailable(reply.status) &&
         !absl::IsDeadlineExceeded(reply.status);
}

bool Is(const Attempt& attempt, Meaning meaning) { return attempt.answer == meaning; }

bool IsTrustedRefusal(const Attempt& attempt) {
  return Is(attempt, Meaning::kRefused) && attempt.trusted;
}

// The key itself is no more, or no longer for use; not, that we may not use it.
bool IsGone(const Attempt& attempt) {
  return Is(attempt, Meaning::kRefused) &&
         (absl::IsNotFound(attempt.status) || absl::IsFailedPrecondition(attempt.status));
}

template <typename Predicate>
const Attempt* First(const FailoverCall& call, Predicate predicate) {
  const auto first = std::find_if(call.attempts.begin(), call.attempts.end(), predicate);
  return first == call.attempts.end() ? nullptr : &*first;
}

}  // namespace

FailoverState::FailoverState(std::vector<std::string> names, Deadline now)
    : health_(std::move(names), now), records_(health_.hosts().size()) {}

// ---- Whom to ask

std::optional<std::size_t> FailoverState::Choose(const FailoverCall& call, Deadline now) const {
  if (!call.attempts.empty()) {
    if (call.deadline - now < kTooShort) return std::nullopt;
    if (call.probe && !Is(call.attempts.front(), Meaning::kRefused)) return std::nullopt;
  }
  // Before anything is proven nobody is probed, and who is up may not have the key that the label
  // has at who is out: then the order is that of the configuration.
  const bool by_order = call.key_id.empty() && records_.empty();
  for (const Standing standing : {Standing::kUp, Standing::kOut, Standing::kDisagrees}) {
    if (standing == Standing::kDisagrees && Restricted(call)) break;
    for (std::size_t host = 0; host < health_.hosts().size(); ++host) {
      const bool asked = First(call, [&](const Attempt& a) { return a.host == host; }) != nullptr;
      Standing its = health_.hosts()[host].standing;
      if (by_order && its == Standing::kOut) its = Standing::kUp;
      if (its == standing && !asked) return host;
    }
  }
  return std::nullopt;
}

FailoverState::Step FailoverState::Add(const FailoverCallPtr& call, std::size_t host,
                                       Deadline now) {
  Attempt& attempt = call->attempts.emplace_back();
  attempt.host = host;
  if (Restricted(*call)) {
    HostRecordPtr record = records_.For(call->key_id);
    const bool anew = call->trust == FailoverCall::Trust::kAnew;
    if (anew || !records_.Reads(record, host)) attempt.trial = std::move(record);
  }
  return Ask(call, call->attempts.size() - 1, now);
}

FailoverState::Step FailoverState::Ask(const FailoverCallPtr& call, std::size_t index,
                                       Deadline now) {
  Attempt& attempt = call->attempts[index];
  attempt.began = now;
  LookAt(call, index, now + PatienceWith(attempt.host));
  return {Step::Do::kAsk, call,           index,           attempt.host,
          attempt.trial,  call->deadline, absl::OkStatus()};
}

FailoverState::Step FailoverState::Next(const FailoverCallPtr& call, Deadline now) {
  if (const auto host = Choose(*call, now)) return Add(call, *host, now);
  const bool refused = First(*call, IsTrustedRefusal) != nullptr;
  const Attempt* awaited =
      First(*call, [&](const Attempt& a) { return !a.answer && !(a.hopeless && refused); });
  return awaited != nullptr ? Step() : End(call, now);
}

// ---- What came of it

FailoverState::Step FailoverState::Answered(const FailoverCallPtr& call, std::size_t index,
                                            Reply reply, Deadline now) {
  Attempt& attempt = call->attempts[index];
  const std::size_t host = attempt.host;
  LookNoMore(attempt);
  if (IsAnswer(reply)) health_.Answered(host, now - attempt.began, now);
  if (reply.meaning == Meaning::kGood && !call->answered) Learn(*call, attempt, reply, now);
  if (const HostRecordPtr trial = std::exchange(attempt.trial, nullptr)) {
    if (reply.meaning == Meaning::kGood) {
      if (!call->answered) return Ask(call, index, now);
      reply.meaning = Meaning::kNothing;  // somebody else was first
    } else if (reply.meaning == Meaning::kRefused) {
      reply.status = Annotate(reply.status, absl::StrCat("it does not decrypt what ",
                                                         NameOf(trial->maker), " encrypted"));
    }
  }
  if (call->probe && reply.meaning == Meaning::kRefused) records_.Refused(call->probe, host);
  attempt.answer = reply.meaning;
  attempt.status = std::move(reply.status);
  attempt.shown = reply.shown;
  attempt.trusted = health_.hosts()[host].standing != Standing::kDisagrees &&
                    records_.Reads(records_.For(call->key_id), host);
  // A call whose time is over tells nothing; a probe has a time of its own.
  const bool over =
      absl::IsDeadlineExceeded(attempt.status) && !call->probe && call->deadline - now < kTooShort;
  if (reply.meaning == Meaning::kFailed && !over) Failed(host, attempt.status, now);
  Compare(*call, now);
  if (call->answered) return {};
  switch (reply.meaning) {
    case Meaning::kGood: {
      call->answered = true;
      for (Attempt& other : call->attempts) LookNoMore(other);
      Step give;
      give.what = Step::Do::kGive;
      return give;
    }
    case Meaning::kNothing: {
      if (First(*call, [](const Attempt& a) { return !a.answer; }) != nullptr) return {};
      call->answered = true;
      return {Step::Do::kFail, call, index, host, nullptr, {}, attempt.status};
    }
    case Meaning::kRefused:
    case Meaning::kFailed: break;
  }
  return Next(call, now);
}

void FailoverState::Learn(const FailoverCall& call, const Attempt& attempt, const Reply& reply,
                          Deadline now) {
  if (attempt.trial) {
    records_.Decrypted(attempt.trial->key_id, attempt.trial->ciphertext, attempt.trial->plaintext,
                       attempt.host);
  } else if (reply.encrypted) {
    records_.Encrypted(call.key_id, *reply.plaintext, *reply.ciphertext, attempt.host);
  } else if (reply.plaintext != nullptr &&
             records_.Decrypted(call.key_id, *reply.ciphertext, *reply.plaintext, attempt.host)) {
    health_.ProbeSoon(now);
  }
}

void FailoverState::Failed(std::size_t host, const absl::Status& status, Deadline now) {
  health_.Failed(host, status, now);
  records_.Forget(host);
}

void FailoverState::Compare(const FailoverCall& call, Deadline now) {
  const Attempt* good = First(call, [](const Attempt& a) { return Is(a, Meaning::kGood); });
  if (good == nullptr) return;
  // So there is always one that does not disagree.
  const bool counts = good->trusted && health_.hosts()[good->host].standing != Standing::kDisagrees;
  const std::string& name = NameOf(good->host);
  for (const Attempt& attempt : call.attempts) {
    if (Is(attempt, Meaning::kRefused) && counts) {
      const absl::Status status =
          Append(attempt.status, absl::StrCat(name, " finds nothing wrong"));
      health_.Disagrees(attempt.host, status, now);
      records_.Forget(attempt.host);
    } else if (!call.answered && !attempt.answer && attempt.silent) {
      const milliseconds patience = PatienceWith(attempt.host);
      if (now - health_.hosts()[attempt.host].answered < patience) continue;
      Failed(attempt.host,
             absl::DeadlineExceededError(absl::StrCat("no answer to anybody for ", patience.count(),
                                                      " ms, while ", name, " answers")),
             now);
    }
  }
}

FailoverState::Step FailoverState::End(const FailoverCallPtr& call, Deadline now) {
  call->answered = true;  // nobody is looked at any more: who is awaited in vain is hopeless
  const auto means = [](Meaning meaning) {
    return [meaning](const Attempt& a) { return Is(a, meaning); };
  };
  const Attempt* decisive = First(*call, IsTrustedRefusal);
  const Attempt* failed = First(*call, means(Meaning::kFailed));
  if (decisive == nullptr && failed == nullptr) decisive = First(*call, means(Meaning::kRefused));
  if (decisive == nullptr && call->deadline - now < kTooShort) {
    decisive = First(*call, [](const Attempt& a) { return absl::IsDeadlineExceeded(a.status); });
  }
  if (decisive == nullptr) decisive = failed;
  Step step;
  step.call = call;
  step.what = decisive->shown ? Step::Do::kGiveShown : Step::Do::kFail;
  if (!decisive->shown) step.status = Summary(*call, *decisive);
  return step;
}

absl::Status FailoverState::Summary(const FailoverCall& call, const Attempt& decisive) const {
  std::string before;
  std::string after;
  for (const Attempt& attempt : call.attempts) {
    if (!attempt.answer || &attempt == &decisive) continue;
    const std::string word = absl::StrCat(NameOf(attempt.host), ": ", attempt.status.message());
    if (&attempt < &decisive) {
      absl::StrAppend(&before, word, "; ");
    } else {
      absl::StrAppend(&after, after.empty() ? "" : "; ", word);
    }
  }
  for (const HostHealth::Host& host : health_.hosts()) {
    if (!Restricted(call) || host.standing != Standing::kDisagrees) continue;
    const bool asked =
        First(call, [&](const Attempt& a) { return &health_.hosts()[a.host] == &host; }) != nullptr;
    if (asked) continue;
    absl::StrAppend(&after, after.empty() ? "" : "; ", host.name,
                    ": not asked, since it disagrees: ", host.trouble.message());
  }
  return Append(Annotate(decisive.status, absl::StrCat(before, NameOf(decisive.host))), after);
}

// ---- Silence

milliseconds FailoverState::PatienceWith(std::size_t host) const {
  return std::clamp(std::chrono::duration_cast<milliseconds>(2 * health_.Quickest(host)), kSilence,
                    kHopeless);
}

void FailoverState::LookAt(const FailoverCallPtr& call, std::size_t index, Deadline when) {
  call->attempts[index].look = looks_.emplace_hint(looks_.end(), when, std::pair(call, index));
}

void FailoverState::LookNoMore(Attempt& attempt) {
  if (attempt.look) looks_.erase(*std::exchange(attempt.look, std::nullopt));
}

void FailoverState::GoesOn(FailoverCall& call, std::size_t attempt, Deadline deadline,
                           Deadline now) {
  health_.Answered(call.attempts[attempt].host, now);
  call.deadline = deadline;
}

Deadline FailoverState::NextLook() const {
  return looks_.empty() ? Deadline::max() : looks_.begin()->first;
}

std::vector<FailoverState::Step> FailoverState::Look(Deadline now) {
  std::vector<Step> steps;
  while (NextLook() <= now) {
    const auto [call, index] = looks_.begin()->second;
    Attempt& attempt = call->attempts[index];
    LookNoMore(attempt);
    const Deadline quiet = std::max(attempt.began, health_.hosts()[attempt.host].answered);
    const milliseconds patience = attempt.silent ? kHopeless : PatienceWith(attempt.host);
    if (now - quiet < patience) {
      LookAt(call, index, quiet + patience);
      continue;
    }
    if (attempt.silent) {
      attempt.hopeless = true;
    } else {
      attempt.silent = true;
      LookAt(call, index, quiet + kHopeless);
    }
    Step step = Next(call, now);
    if (step.what != Step::Do::kWait) steps.push_back(std::move(step));
  }
  return steps;
}

// ---- Probes

std::pair<std::vector<std::size_t>, HostRecordPtr> FailoverState::BeginProbes(Deadline now) {
  if (NextProbe() > now) return {};
  return {health_.BeginProbes(now), records_.Newest()};
}

FailoverState::Step FailoverState::BeginProbe(const FailoverCallPtr& call, std::size_t host,
                                              Deadline now) {
  return Add(call, host, now);
}

void FailoverState::EndProbe(const FailoverCall& call, Deadline now, uint8_t jitter) {
  const Attempt& probed = call.attempts.front();
  // Who refuses what nobody else can either is as good as the others.
  const bool answers = Is(probed, Meaning::kRefused) &&
                       health_.hosts()[probed.host].standing != Standing::kDisagrees;
  health_.EndProbe(probed.host, Is(probed, Meaning::kGood) || answers, now, jitter);
  // The KMS itself has taken the key from use: no host has another one, and the label may lead on.
  // Some servers deny what is asked of a deactivated key; a host that never had it may say so, too.
  const bool had = records_.EachHasRead(call.probe);
  const auto lost = [&](const Attempt& attempt) {
    return IsGone(attempt) ||
           (had && Is(attempt, Meaning::kRefused) && absl::IsPermissionDenied(attempt.status));
  };
  if (call.attempts.size() == health_.hosts().size() &&
      std::all_of(call.attempts.begin(), call.attempts.end(), lost)) {
    records_.Drop(call.probe);
  }
}

Deadline FailoverState::NextProbe() const {
  return records_.empty() ? Deadline::max() : health_.NextProbe();
}

}  // namespace okms
