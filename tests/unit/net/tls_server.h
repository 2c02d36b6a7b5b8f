// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A TLS server on the loopback interface that serves one connection, for the tests of the dialer.

#ifndef OKMS_TESTS_UNIT_NET_TLS_SERVER_H_
#define OKMS_TESTS_UNIT_NET_TLS_SERVER_H_

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <functional>
#include <string>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include "base/unique_fd.h"
#include "net/openssl_ptr.h"
#include "support/test_pki.h"

namespace okms::test {

// A TCP socket on a free port of 127.0.0.1. Until Listen, connections to it are refused.
class LoopbackSocket {
 public:
  LoopbackSocket() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  void Listen() { EXPECT_EQ(::listen(fd_.get(), 8), 0); }
  // Waits for a connection.
  UniqueFd Accept() const { return UniqueFd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC)); }
  uint16_t port() const { return port_; }

  // Wakes an Accept that nobody came for.
  void Stop() { ::shutdown(fd_.get(), SHUT_RDWR); }

 private:
  UniqueFd fd_;
  uint16_t port_ = 0;
};

struct TlsServerOptions {
  KeyPairFiles identity;
  std::string client_ca;
  int min_version = TLS1_2_VERSION;
  int max_version = TLS1_3_VERSION;
  std::string cipher_list = {};  // of TLS 1.2; empty: OpenSSL's default
};

class TlsServer {
 public:
  // What is done with the connection after the handshake; it is closed when this returns.
  using Session = std::function<void(SSL*)>;

  TlsServer(const TlsServerOptions& options, Session session)
      : context_(SSL_CTX_new(TLS_server_method())), session_(std::move(session)) {
    SSL_CTX* raw = context_.get();
    EXPECT_EQ(SSL_CTX_use_certificate_chain_file(raw, options.identity.certificate.c_str()), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey_file(raw, options.identity.key.c_str(), SSL_FILETYPE_PEM), 1);
    EXPECT_EQ(SSL_CTX_load_verify_file(raw, options.client_ca.c_str()), 1);
    SSL_CTX_set_verify(raw, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    EXPECT_EQ(SSL_CTX_set_min_proto_version(raw, options.min_version), 1);
    EXPECT_EQ(SSL_CTX_set_max_proto_version(raw, options.max_version), 1);
    if (!options.cipher_list.empty()) {
      EXPECT_EQ(SSL_CTX_set_cipher_list(raw, options.cipher_list.c_str()), 1);
    }
    socket_.Listen();
    thread_ = std::thread([this] { Serve(); });
  }
  ~TlsServer() {
    socket_.Stop();
    Join();
  }

  uint16_t port() const { return socket_.port(); }
  // Waits until the connection has been served and closed.
  void Join() {
    if (thread_.joinable()) thread_.join();
  }
  // After Join.
  bool accepted() const { return accepted_; }
  const std::string& client() const { return client_; }
  const std::string& server_name() const { return server_name_; }

 private:
  void Serve() {
    const UniqueFd connection = socket_.Accept();
    if (!connection) return;
    const SslPtr ssl(SSL_new(context_.get()));
    SSL_set_fd(ssl.get(), connection.get());
    accepted_ = SSL_accept(ssl.get()) == 1;
    if (!accepted_) return;
    const X509Ptr certificate(SSL_get1_peer_certificate(ssl.get()));
    char text[256] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()), NID_commonName, text,
                              sizeof text);
    client_ = text;
    const char* name = SSL_get_servername(ssl.get(), TLSEXT_NAMETYPE_host_name);
    server_name_ = name == nullptr ? "" : name;
    session_(ssl.get());
  }

  SslCtxPtr context_;
  Session session_;
  LoopbackSocket socket_;
  bool accepted_ = false;
  std::string client_;
  std::string server_name_;
  std::thread thread_;
};

}  // namespace okms::test

#endif  // OKMS_TESTS_UNIT_NET_TLS_SERVER_H_
