// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "kmip/session.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/debug.h"
#include "base/status.h"

namespace okms::kmip {
namespace {

struct Payload {
  const Call& call;
  ProtocolVersion version;
  void operator()(ttlv::Writer& writer) const { call.write(writer, version); }
};

}  // namespace

Session::Session(uint64_t id, IoLoop& loop, Connector& connector, KnownServer& known, Owner& owner,
                 bool prove)
    : id_(id), loop_(loop), connector_(connector), known_(known), owner_(owner), prove_(prove) {}

void Session::Open(Deadline deadline) {
  opening_ = connector_.Open(deadline, [this](absl::StatusOr<std::unique_ptr<Channel>> channel) {
    Opened(std::move(channel));
  });
  GiveUpAt(deadline);
}

void Session::GiveUpAt(Deadline deadline) {
  give_up_ = loop_.At(deadline, [this] {
    Suspect();
    if (connection_) {
      Closed(channel_->TooLate());
    } else {
      Break(TooLate());
    }
  });
}

void Session::Opened(absl::StatusOr<std::unique_ptr<Channel>> channel) {
  const auto self = shared_from_this();
  opening_.reset();
  if (!channel.ok()) {
    Break(channel.status());
    return;
  }
  channel_ = *std::move(channel);
  channel_->SetListener(this);
  connection_.emplace(known_, prove_);
  Flush();
  if (connection_->idle()) BeReady();
}

void Session::BeReady() {
  since_ = Clock::now();
  give_up_.Stop();
  owner_.Ready(*this, !std::exchange(ready_, true));
}

void Session::NegotiateAnew() {
  ready_ = false;
  since_ = Clock::now();
  GiveUpAt(since_ + kUntilReady);
  owner_.Unready(*this);
}

void Session::Answered() {
  if (!std::exchange(answered_, true)) channel_->Answered();
}

void Session::Flush() {
  const WipedBytes output = connection_->TakeOutput();
  if (!output.empty()) channel_->Send(output);
}

void Session::Ask(std::vector<std::unique_ptr<Call>> calls) {
  rank_ = calls.front()->rank;
  since_ = Clock::now();
  const ProtocolVersion version = connection_->version();
  std::vector<Payload> payloads;
  std::vector<RequestItem> items;
  payloads.reserve(calls.size());  // the items point there
  for (const std::unique_ptr<Call>& call : calls) {
    items.push_back({call->operation, {}, payloads.emplace_back(Payload{*call, version})});
  }
  calls_ = std::move(calls);
  if (items.size() > 1) {
    Debug([&] { return absl::StrCat("KMIP: ", items.size(), " Decrypts in one request"); });
  }
  if (absl::Status status = connection_->Ask(items); !status.ok()) {
    Break(status);
    return;
  }
  Flush();
}

void Session::Received(ByteView bytes) {
  const auto self = shared_from_this();
  absl::Status status = connection_->Receive(bytes);
  Flush();
  std::vector<Answer> answers;
  if (const std::optional<Reply> reply = connection_->TakeReply()) {
    Answered();
    if (!reply->version_refused && !reply->batch_refused) {
      owner_.Took(Clock::now() - since_, calls_.size());
    }
    answers = Read(*reply, status);
    if (reply->batch_refused) status.Update(absl::UnavailableError("the KMS takes no batches"));
    connection_->Forget();
  }
  if (!status.ok()) {
    Break(status);
  } else if (!connection_->idle()) {
    if (ready_ && calls_.empty()) NegotiateAnew();
  } else if (calls_.empty()) {
    Answered();
    BeReady();  // the KMS has something to do while the answers are told
  }
  for (Answer& answer : answers) owner_.Answer(*this, std::move(answer.call), answer.outcome);
}

std::vector<Session::Answer> Session::Read(const Reply& reply, absl::Status& status) {
  std::vector<std::unique_ptr<Call>> calls = std::exchange(calls_, {});
  const bool refused = reply.version_refused || reply.batch_refused;
  const ProtocolVersion version = connection_->version();
  std::vector<Answer> answers;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    std::unique_ptr<Call> call = std::move(calls[i]);
    if (call == nullptr) continue;
    const std::optional<Response>* item = refused ? nullptr : &reply.items[i];
    // Left out, or given up for another one's sake.
    if (item == nullptr || !item->has_value() ||
        (calls.size() > 1 && (*item)->reason == ResultReason::kOperationCanceledByRequester)) {
      call->alone = true;
      owner_.Again(std::move(call));
      continue;
    }
    absl::Status result = call->read(**item, version);
    if (absl::IsDataLoss(result)) {
      // Who is a reply behind could hand one call's plaintext to another.
      status.Update(result);
      calls_.push_back(std::move(call));
    } else {
      answers.push_back({std::move(call), {std::move(result), true}});
    }
  }
  return answers;
}

void Session::Break(const absl::Status& why) {
  const auto self = shared_from_this();
  owner_.Broke(*this, why, TakeCalls());
  give_up_.Stop();
  opening_.reset();
  channel_.reset();
}

std::vector<std::unique_ptr<Call>> Session::TakeCalls() {
  std::erase(calls_, nullptr);
  return std::exchange(calls_, {});
}

std::unique_ptr<Call> Session::GiveUp(const Call& call) {
  const auto found = std::find_if(calls_.begin(), calls_.end(),
                                  [&](const auto& mine) { return mine.get() == &call; });
  if (found == calls_.end()) return nullptr;
  std::unique_ptr<Call> given = std::move(*found);
  const bool last =
      std::all_of(calls_.begin(), calls_.end(), [](const auto& mine) { return mine == nullptr; });
  if (last) {
    if (Clock::now() - since_ >= kSilence) channel_->Silent();
    Closed(channel_->TooLate());
  }
  return given;
}

absl::Status Session::TooLate() const {
  if (connection_) return Annotate(channel_->TooLate(), connection_->Doing());
  return opening_ != nullptr ? opening_->TooLate()
                             : absl::DeadlineExceededError("no answer in time");
}

}  // namespace okms::kmip
