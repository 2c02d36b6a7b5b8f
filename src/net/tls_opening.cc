// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/tls_opening.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/debug.h"
#include "base/status.h"
#include "net/tls_channel.h"

namespace okms {
namespace {

// After so long without an answer, the next address is tried beside it (RFC 8305 section 5).
constexpr std::chrono::milliseconds kNextAddress{250};
// Once it has taken the connection, it has shown that it is there: handshakes take their time.
constexpr std::chrono::milliseconds kNextAddressAfterConnect{1000};

// What is broken is told after so long, whether the name server answers or not.
constexpr std::chrono::milliseconds kOtherAddresses{1000};
// Tried at once: those of other openings, and the rest of us, need descriptors, too.
constexpr std::size_t kAtOnce = 4;

absl::Status NoAnswer() { return absl::DeadlineExceededError("no answer in time"); }

}  // namespace

TlsOpening::TlsOpening(TlsConnector& connector, Deadline deadline, Connector::Opened opened)
    : connector_(connector),
      deadline_(deadline),
      opened_(std::move(opened)),
      last_(Annotate(NoAnswer(), connector.name_.target().ToString())) {
  connector_.openings_.push_back(this);
  connector_.name_.Refresh();
  timer_ = connector_.loop_.At(Clock::now(), [this] { GoOn(); });
}

TlsOpening::~TlsOpening() {
  MarkSilent();
  connector_.openings_.remove(this);
}

void TlsOpening::NameWasAsked() {
  name_was_asked_ = true;
  timer_ = connector_.loop_.At(Clock::now(), [this] { GoOn(); });
}

void TlsOpening::GoOn() {
  if (Expired(deadline_)) {
    MarkSilent();
    return Finish(TooLate());
  }
  if (connector_.name_.known()) {
    do {
      if (std::unique_ptr<TlsSocket> socket = FirstThere()) {
        return Finish(
            std::make_unique<TlsChannel>(connector_.loop_, connector_.order_, connector_.buffer_,
                                         connector_.traffic_.connections, std::move(socket)));
      }
    } while (BeginNext());
    if (running_.empty() && !AwaitsName()) return Finish(last_);
  } else if (name_was_asked_) {
    return Finish(connector_.name_.error());
  }
  Wait();
}

bool TlsOpening::BeginNext() {
  const Deadline now = Clock::now();
  if (!running_.empty() && now < running_.back().patience) return false;
  const std::optional<Address> address = Untried();
  if (!address) connector_.name_.Suspect();
  if (!address || running_.size() == kAtOnce) return false;
  tried_.insert(address->ToString());
  connector_.traffic_.dials.Add();
  auto socket = TlsSocket::Create(connector_.name_.target(), *address, *connector_.context_);
  if (socket.ok()) {
    running_.push_back({*std::move(socket), now, now, now + kNextAddress, std::nullopt});
  } else {
    connector_.traffic_.connect.failed.Add();
    Failed(socket.status());
  }
  return true;
}

std::optional<Address> TlsOpening::Untried() const {
  std::vector<Address> addresses = connector_.name_.addresses();
  connector_.order_.Sort(addresses);
  const auto first = std::find_if(addresses.begin(), addresses.end(), [&](const Address& address) {
    return !tried_.contains(address.ToString());
  });
  return first == addresses.end() ? std::nullopt : std::optional(*first);
}

std::unique_ptr<TlsSocket> TlsOpening::FirstThere() {
  for (auto attempt = running_.begin(); attempt != running_.end();) {
    const absl::StatusOr<bool> there = Continue(*attempt);
    if (there.ok() && *there) {
      connector_.traffic_.handshake.took.Add(Clock::now() - attempt->connected);
      attempt->watch.reset();  // of which there may be one a descriptor
      return std::move(attempt->socket);
    }
    if (!there.ok()) {
      Traffic& traffic = connector_.traffic_;
      (attempt->socket->connected() ? traffic.handshake : traffic.connect).failed.Add();
      Failed(there.status());
    }
    attempt = there.ok() ? std::next(attempt) : running_.erase(attempt);
  }
  return nullptr;
}

absl::StatusOr<bool> TlsOpening::Continue(Attempt& attempt) {
  const bool connects = !attempt.socket->connected();
  OKMS_ASSIGN_OR_RETURN(const short events, attempt.socket->Continue());
  if (connects && attempt.socket->connected()) {
    attempt.connected = Clock::now();
    attempt.patience = attempt.connected + kNextAddressAfterConnect;
    connector_.traffic_.connect.took.Add(attempt.connected - attempt.began);
  }
  if (events == 0) return true;
  if (attempt.watch) {
    attempt.watch->Set(events);
  } else {
    OKMS_ASSIGN_OR_RETURN(attempt.watch, connector_.loop_.OnReady(attempt.socket->fd(), events,
                                                                  [this](short) { GoOn(); }));
  }
  return false;
}

void TlsOpening::Failed(const absl::Status& why) {
  Debug([&] { return absl::StrCat("no connection: ", Message(why)); });
  // What an address answered tells more than what is wrong with the way to another one.
  if (!absl::IsUnauthenticated(last_)) last_ = why;
}

bool TlsOpening::AwaitsName() {
  if (!connector_.name_.looking()) return false;
  if (!name_until_) name_until_ = Clock::now() + kOtherAddresses;
  return !Expired(*name_until_);
}

void TlsOpening::MarkSilent() {
  const Deadline silent_since = Clock::now() - kSilence;
  for (const Attempt& attempt : running_) {
    if (attempt.began <= silent_since) connector_.order_.Silent(attempt.socket->address());
  }
}

absl::Status TlsOpening::TooLate() const {
  if (!connector_.name_.known()) {
    return absl::DeadlineExceededError(absl::StrCat("cannot resolve ",
                                                    connector_.name_.target().host,
                                                    ": the name service did not answer in time"));
  }
  if (running_.empty() || absl::IsUnauthenticated(last_)) return last_;
  return running_.back().socket->BrokenOff(NoAnswer());
}

void TlsOpening::Wait() {
  Deadline until = deadline_;
  if (!running_.empty()) {
    const Deadline patience = running_.back().patience;
    if (!Expired(patience)) until = std::min(until, patience);
  } else if (name_until_) {
    until = std::min(until, *name_until_);
  }
  timer_ = connector_.loop_.At(until, [this] { GoOn(); });
}

void TlsOpening::Finish(absl::StatusOr<std::unique_ptr<Channel>> channel) {
  timer_.Stop();
  running_.clear();
  connector_.openings_.remove(this);
  // Of its own: it may destroy the opening.
  Connector::Opened opened = std::move(opened_);
  opened(std::move(channel));
}

}  // namespace okms
