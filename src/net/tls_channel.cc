// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The listener is told last in everything that is done, since it may destroy the channel.

#include "net/tls_channel.h"

#include <openssl/crypto.h>
#include <poll.h>

#include <utility>

namespace okms {

TlsChannel::TlsChannel(IoLoop& loop, AddressOrder& order, std::span<uint8_t> buffer, Gauge& open,
                       std::unique_ptr<TlsSocket> socket)
    : loop_(loop), order_(order), buffer_(buffer), counted_(open), socket_(std::move(socket)) {}

void TlsChannel::SetListener(Listener* listener) {
  listener_ = listener;
  auto watch = loop_.OnReady(socket_->fd(), POLLIN, [this](short) { GoOn(); });
  if (watch.ok()) {
    watch_ = *std::move(watch);
  } else {
    socket_->Fail(watch.status());
  }
  Wait();
}

void TlsChannel::Send(ByteView bytes) {
  if (listener_ == nullptr) return;
  socket_->Write(bytes);
  Wait();
}

void TlsChannel::Wait() {
  watch_.Set(socket_->events());
  if (socket_->more()) soon_ = loop_.At(Clock::now(), [this] { GoOn(); });
}

void TlsChannel::GoOn() {
  const absl::StatusOr<std::size_t> read = socket_->Read(buffer_);
  if (!read.ok()) return Close(read.status());
  Wait();
  if (*read == 0) return;
  const std::span<uint8_t> bytes = buffer_.first(*read);
  listener_->Received(bytes);
  OPENSSL_cleanse(bytes.data(), bytes.size());  // not of ours: we may be gone
}

void TlsChannel::Close(const absl::Status& why) {
  watch_.Stop();
  soon_.Stop();
  std::exchange(listener_, nullptr)->Closed(why);
}

void TlsChannel::Answered() {
  if (!std::exchange(answered_, true)) order_.Answered(socket_->address());
}

absl::Status TlsChannel::TooLate() const {
  return socket_->BrokenOff(absl::DeadlineExceededError("no answer in time"));
}

void TlsChannel::Silent() {
  answered_ = false;
  order_.Silent(socket_->address());
}

}  // namespace okms
