// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A connection to the KMS on the I/O loop.

#ifndef OKMS_NET_TLS_CHANNEL_H_
#define OKMS_NET_TLS_CHANNEL_H_

#include <memory>
#include <span>

#include "base/counter.h"
#include "net/address_order.h"
#include "net/channel.h"
#include "net/io_loop.h"
#include "net/tls_socket.h"

namespace okms {

class TlsChannel : public Channel {
 public:
  // `socket` has shaken hands. What is read passes through `buffer`, which may be that of others,
  // too. All but the socket must outlive it. It counts in `open`.
  TlsChannel(IoLoop& loop, AddressOrder& order, std::span<uint8_t> buffer, Gauge& open,
             std::unique_ptr<TlsSocket> socket);

  void SetListener(Listener* listener) override;
  void Send(ByteView bytes) override;
  bool IsFresh() const override { return socket_->IsFresh(); }
  void Answered() override;
  void Silent() override;
  absl::Status TooLate() const override;

 private:
  void Wait();
  void GoOn();
  void Close(const absl::Status& why);

  IoLoop& loop_;
  AddressOrder& order_;
  const std::span<uint8_t> buffer_;
  const Counted counted_;
  const std::unique_ptr<TlsSocket> socket_;
  Listener* listener_ = nullptr;  // while there is something to tell
  IoLoop::Watch watch_;
  IoLoop::Timer soon_;
  bool answered_ = false;
};

}  // namespace okms

#endif  // OKMS_NET_TLS_CHANNEL_H_
