// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What comes is an answer only if it was asked for, and only to what its batch item id says. Where
// that cannot be told, as a rule nobody gets it: another call's plaintext would look like any
// other.

#include "kmip/connection.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace okms::kmip {
namespace {

// The ways in which a server that cannot read a version's header hangs up.
bool HungUp(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDataLoss(status);
}

std::string Outcome(const Response& response) {
  return response.status == ResultStatus::kSuccess
             ? "answered"
             : absl::StrCat("refused: ", ToString(response.reason));
}

bool Equal(ByteView a, ByteView b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

}  // namespace

Connection::Connection(KnownServer& known, bool prove) : known_(known) {
  if (const std::optional<ProtocolVersion> version = known_.version(); version && !prove) {
    version_ = *version;
    untried_ = true;
  } else {
    negotiation_.emplace(known_.Headers(Clock::now()));
    Negotiate();
  }
}

void Connection::Negotiate() {
  const auto payload = [this](ttlv::Writer& writer) { negotiation_->Write(writer); };
  const RequestItem item{negotiation_->operation(), {}, payload};
  version_ = negotiation_->version();
  Send({&item, 1});
}

absl::Status Connection::Ask(std::span<const RequestItem> items) {
  if (!idle() || items.empty() || items.size() > kMaxItems) {
    return absl::InternalError(absl::StrCat("KMIP: ", items.size(), " items to ask for",
                                            idle() ? "" : " by a connection that is not idle"));
  }
  Send(items);
  return absl::OkStatus();
}

void Connection::Send(std::span<const RequestItem> items) {
  asked_.clear();
  for (const RequestItem& item : items) {
    Asked& asked = asked_.emplace_back(Asked{item.operation, {}});
    uint64_t id = known_.NewId();
    for (uint8_t& byte : asked.id) {
      byte = static_cast<uint8_t>(id >> 56);
      id <<= 8;
    }
  }
  std::vector<RequestItem> with_ids(items.begin(), items.end());
  for (std::size_t i = 0; i < items.size(); ++i) with_ids[i].batch_item_id = asked_[i].id;
  output_ = Request::Encode(version_, with_ids);
  watch_ = Stopwatch();
}

absl::Status Connection::Receive(ByteView bytes) {
  if (over_) return absl::DataLossError("KMIP: the connection is over");
  absl::Status status = Read(bytes);
  if (absl::IsDataLoss(status)) return Lost(status);
  if (!status.ok()) over_ = true;
  return status;
}

absl::Status Connection::Closed(const absl::Status& why) {
  return over_ ? why : Lost(Annotate(why, Doing()));
}

absl::Status Connection::Lost(const absl::Status& why) {
  over_ = true;
  reply_.reset();
  for (const Asked& asked : asked_) Log(asked, Message(why));
  const Clock::time_point now = Clock::now();
  if (negotiation_) {
    if (HungUp(why)) known_.HungUpOn(negotiation_->first_header(), now);
    return negotiation_->Ended(why);
  }
  if (asked_.empty()) return why;
  if (untried_ && HungUp(why)) known_.HungUp(version_);
  // Silence, too: a server may choke on a batch.
  if (asked_.size() > 1 && (HungUp(why) || absl::IsDeadlineExceeded(why))) known_.BatchLost(now);
  return why;
}

absl::Status Connection::Read(ByteView bytes) {
  // What was not sent yet cannot be answered.
  while (!bytes.empty() && !asked_.empty() && output_.empty()) {
    const std::size_t wanted = size_ > 0 ? size_ : ttlv::kHeaderSize;
    const ByteView part = bytes.first(std::min(bytes.size(), wanted - input_.size()));
    input_.insert(input_.end(), part.begin(), part.end());
    bytes = bytes.subspan(part.size());
    if (input_.size() < wanted) return absl::OkStatus();
    if (size_ == 0) {
      if (absl::Status status = ReadHeader(); !status.ok()) return Annotate(status, Doing());
    }
    if (input_.size() < size_) continue;
    message_ = std::exchange(input_, {});
    size_ = 0;
    OKMS_RETURN_IF_ERROR(TakeMessage());
  }
  if (bytes.empty()) return absl::OkStatus();
  return absl::DataLossError("KMIP: the KMS sent what nobody asked for");
}

absl::Status Connection::ReadHeader() {
  const std::span<const uint8_t, ttlv::kHeaderSize> header(input_.data(), ttlv::kHeaderSize);
  if (constexpr absl::string_view kHttp = "HTTP/";
      std::equal(kHttp.begin(), kHttp.end(), header.begin())) {
    return absl::DataLossError(
        "the answer is HTTP, not KMIP; KMIP answers at port 5696 of the KMS: check --serv-addr");
  }
  OKMS_ASSIGN_OR_RETURN(size_, ttlv::MessageSize(header));
  return absl::OkStatus();
}

absl::Status Connection::TakeMessage() {
  if (negotiation_) return TakeNegotiated();
  return asked_.size() == 1 ? TakeOne() : TakeBatch();
}

absl::Status Connection::TakeNegotiated() {
  OKMS_ASSIGN_OR_RETURN(const Response response, DecodeOne());
  asked_.clear();
  OKMS_ASSIGN_OR_RETURN(const bool done, negotiation_->Take(response));
  if (!done) {
    Negotiate();
    return absl::OkStatus();
  }
  const ProtocolVersion header = negotiation_->header();
  version_ = negotiation_->version();
  negotiation_.reset();
  untried_ = false;
  // A server without Discover Versions may learn it one day: look for it each time.
  if (header != kLowestVersion) known_.SetHeader(header);
  known_.Negotiated(version_);
  Debug([&] {
    return absl::StrCat("KMIP ", version_.ToString(), " negotiated, with a header of ",
                        header.ToString());
  });
  return absl::OkStatus();
}

absl::Status Connection::TakeOne() {
  OKMS_ASSIGN_OR_RETURN(Response response, DecodeOne());
  asked_.clear();
  known_.SingleAnswered();
  reply_.emplace().items.resize(1);
  if (std::exchange(untried_, false)) {
    known_.Answered();
    reply_->version_refused = response.RefusesMessage() &&
                              response.reason != ResultReason::kPermissionDenied &&
                              response.reason != ResultReason::kAuthenticationNotSuccessful;
  }
  if (!reply_->version_refused) {
    reply_->items.front() = std::move(response);
    return absl::OkStatus();
  }
  Debug([this] { return absl::StrCat("KMIP ", version_.ToString(), " is refused now"); });
  known_.ForgetVersion(version_);
  negotiation_.emplace(known_.Headers(Clock::now()));
  Negotiate();
  return absl::OkStatus();
}

absl::StatusOr<Response> Connection::DecodeOne() {
  auto responses = Response::Decode(message_, 1);
  const absl::Status status =
      responses.ok() ? CheckId(responses->front(), asked_.front().id) : responses.status();
  if (!status.ok()) return Annotate(status, Doing());
  Log(asked_.front(), Outcome(responses->front()));
  return std::move(responses->front());
}

absl::Status Connection::CheckId(const Response& response, ByteView id) {
  if (Equal(response.batch_item_id, id)) {
    known_.echoes_ids = true;
    return absl::OkStatus();
  }
  if (!response.batch_item_id.empty()) {
    return absl::DataLossError("this is the reply to another request");
  }
  // Who cannot read a message finds no id in it.
  if (known_.echoes_ids && !response.RefusesMessage()) {
    return absl::DataLossError(
        "the reply has no batch item id, which this KMS gives back otherwise");
  }
  return absl::OkStatus();
}

absl::Status Connection::TakeBatch() {
  auto responses = Response::Decode(message_, asked_.size());
  if (!responses.ok()) return RefuseBatch(responses.status());
  if (const Response& first = responses->front();
      responses->size() == 1 && first.RefusesMessage()) {
    return RefuseBatch(RefusalStatus(asked_.front().operation, first.reason, first.message));
  }
  std::vector<std::optional<Response>> items(asked_.size());
  for (Response& response : *responses) {
    const ByteView id = response.batch_item_id;
    if (id.empty()) return RefuseBatch(absl::DataLossError("an item has no batch item id"));
    const auto asked = std::find_if(asked_.begin(), asked_.end(),
                                    [&](const Asked& one) { return Equal(one.id, id); });
    if (asked == asked_.end()) {
      return absl::DataLossError(absl::StrCat(Doing(), ": this is the reply to another request"));
    }
    std::optional<Response>& item = items[static_cast<std::size_t>(asked - asked_.begin())];
    if (item) return absl::DataLossError(absl::StrCat(Doing(), ": two replies to one request"));
    item = std::move(response);
  }
  for (std::size_t i = 0; i < items.size(); ++i) {
    Log(asked_[i], items[i] ? Outcome(*items[i]) : "left out");
  }
  known_.echoes_ids = true;
  known_.BatchAnswered();
  if (std::exchange(untried_, false)) known_.Answered();
  asked_.clear();
  reply_.emplace().items = std::move(items);
  return absl::OkStatus();
}

absl::Status Connection::RefuseBatch(const absl::Status& why) {
  Debug([&] {
    return absl::StrCat("KMIP: no more than one request at a time from now on, since of ",
                        asked_.size(), " at once the KMS said: ", Message(why));
  });
  known_.BatchRefused(Clock::now());
  if (std::exchange(untried_, false)) known_.Answered();
  reply_.emplace().batch_refused = true;
  reply_->items.resize(asked_.size());
  asked_.clear();
  over_ = true;
  return absl::OkStatus();
}

std::string Connection::Doing() const {
  return asked_.empty() ? "KMIP" : absl::StrCat("KMIP ", ToString(asked_.front().operation));
}

void Connection::Log(const Asked& asked, absl::string_view outcome) const {
  Debug([&] {
    return absl::StrCat("KMIP ", version_.ToString(), " ", ToString(asked.operation), ": ", outcome,
                        " in ", watch_.Text());
  });
}

}  // namespace okms::kmip
