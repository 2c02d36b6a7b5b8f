// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The TLS connections of a server that does not show them.
//
// cpp-httplib keeps its sockets to itself and waits for its clients to leave before it ends: with
// kept-alive connections, for ever. OpenSSL knows each connection from the start of its handshake
// to SSL_free, which comes before the close of the descriptor, so in between it is safe to use.

#ifndef OKMS_TESTS_MOCK_KMS_OPEN_CONNECTIONS_H_
#define OKMS_TESTS_MOCK_KMS_OPEN_CONNECTIONS_H_

#include <openssl/ssl.h>

#include <map>
#include <mutex>

namespace okms::test {

// Thread-safe. Must outlive every connection of the contexts it watches.
class OpenConnections {
 public:
  // Before the first connection.
  void Watch(SSL_CTX& context);

  // Resets every connection there is; new ones are welcome.
  void Drop();
  // Likewise, and from now on each new one as it comes.
  void DropForEver();

  // All that ever came, those without a good certificate too.
  int count() const;

 private:
  static int ExIndex();
  static void OnInfo(const SSL* ssl, int where, int result);
  static void OnFree(void* ssl, void* connections, CRYPTO_EX_DATA* data, int index, long number,
                     void* pointer);
  void Add(SSL* ssl);

  mutable std::mutex mutex_;  // guards all below
  std::map<const void*, int> descriptors_;
  int count_ = 0;
  bool over_ = false;
};

}  // namespace okms::test

#endif  // OKMS_TESTS_MOCK_KMS_OPEN_CONNECTIONS_H_
