// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "mock_kms/open_connections.h"

#include <sys/socket.h>

#include <cstdlib>

namespace okms::test {
namespace {

// Wakes whoever reads or polls it; its close will be a reset.
void Reset(int fd) {
  const linger at_once{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  ::shutdown(fd, SHUT_RDWR);
}

}  // namespace

int OpenConnections::ExIndex() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, OnFree);
  if (index < 0) std::abort();
  return index;
}

void OpenConnections::Watch(SSL_CTX& context) {
  ExIndex();
  SSL_CTX_set_app_data(&context, this);
  SSL_CTX_set_info_callback(&context, OnInfo);
}

void OpenConnections::OnInfo(const SSL* ssl, int where, int) {
  // TLS 1.3 starts further handshakes on a connection, for its session tickets.
  if ((where & SSL_CB_HANDSHAKE_START) == 0 || SSL_get_ex_data(ssl, ExIndex()) != nullptr) return;
  auto* self = static_cast<OpenConnections*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  self->Add(const_cast<SSL*>(ssl));  // the callback's type is older than const in OpenSSL
}

void OpenConnections::Add(SSL* ssl) {
  SSL_set_ex_data(ssl, ExIndex(), this);
  const std::lock_guard lock(mutex_);
  const int fd = SSL_get_fd(ssl);
  descriptors_[ssl] = fd;
  ++count_;
  if (over_) Reset(fd);
}

void OpenConnections::OnFree(void* ssl, void* connections, CRYPTO_EX_DATA*, int, long, void*) {
  auto* self = static_cast<OpenConnections*>(connections);
  if (self == nullptr) return;  // a connection of somebody else's
  const std::lock_guard lock(self->mutex_);
  self->descriptors_.erase(ssl);
}

void OpenConnections::Drop() {
  const std::lock_guard lock(mutex_);
  for (const auto& [ssl, fd] : descriptors_) Reset(fd);
}

void OpenConnections::DropForEver() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  Drop();
}

int OpenConnections::count() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

}  // namespace okms::test
