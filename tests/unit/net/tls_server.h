// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A TLS server on the loopback interface that serves a connection or a few, one after the other,
// and what other servers for tests are made of.

#ifndef OKMS_TESTS_UNIT_NET_TLS_SERVER_H_
#define OKMS_TESTS_UNIT_NET_TLS_SERVER_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <ctime>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/unique_fd.h"
#include "net/openssl_ptr.h"
#include "support/test_pki.h"

namespace okms::test {

// A TCP socket on an address of the loopback interface, and a free port unless one is given. Until
// Listen, connections to it are refused.
class LoopbackSocket {
 public:
  explicit LoopbackSocket(const std::string& ip = "127.0.0.1", uint16_t port = 0)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    EXPECT_EQ(::inet_pton(AF_INET, ip.c_str(), &address.sin_addr), 1);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  void Listen(int queue = 8) { EXPECT_EQ(::listen(fd_.get(), queue), 0); }
  // Begins to connect to it.
  UniqueFd Connect() const {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in address{};
    socklen_t size = sizeof address;
    EXPECT_EQ(::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), size);
    return fd;
  }
  // Fills its queue: Linux drops further SYNs, so that the next connect hangs. (After Listen(0).)
  std::vector<UniqueFd> Fill() const {
    std::vector<UniqueFd> queue;
    for (bool full = false; !full && queue.size() < 100;) {
      queue.push_back(Connect());
      pollfd entry{queue.back().get(), POLLOUT, 0};
      full = ::poll(&entry, 1, 100) == 0;
    }
    EXPECT_LT(queue.size(), 100u);
    return queue;
  }
  // Waits for a connection.
  UniqueFd Accept() const { return UniqueFd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC)); }
  // Takes those that wait; how many there were.
  int AcceptAll() const {
    int count = 0;
    pollfd entry{fd_.get(), POLLIN, 0};
    for (; ::poll(&entry, 1, 0) == 1 && Accept(); ++count) {
    }
    return count;
  }
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
  bool prefers_dhe = false;      // in TLS 1.2, as the first of its suites
  time_t verify_at = 0;  // when, for the server, a client's certificate must be valid; 0: now
  std::string address = "127.0.0.1";
  uint16_t port = 0;    // 0: any free one
  int connections = 1;  // how many are served
};

inline SslCtxPtr NewServerContext(const TlsServerOptions& options) {
  SslCtxPtr context(SSL_CTX_new(TLS_server_method()));
  SSL_CTX* raw = context.get();
  EXPECT_EQ(SSL_CTX_use_certificate_chain_file(raw, options.identity.certificate.c_str()), 1);
  EXPECT_EQ(SSL_CTX_use_PrivateKey_file(raw, options.identity.key.c_str(), SSL_FILETYPE_PEM), 1);
  EXPECT_EQ(SSL_CTX_load_verify_file(raw, options.client_ca.c_str()), 1);
  SSL_CTX_set_verify(raw, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  EXPECT_EQ(SSL_CTX_set_min_proto_version(raw, options.min_version), 1);
  EXPECT_EQ(SSL_CTX_set_max_proto_version(raw, options.max_version), 1);
  if (!options.cipher_list.empty()) {
    EXPECT_EQ(SSL_CTX_set_cipher_list(raw, options.cipher_list.c_str()), 1);
  }
  if (options.prefers_dhe) {
    EXPECT_EQ(SSL_CTX_ctrl(raw, SSL_CTRL_SET_DH_AUTO, 1, nullptr), 1);
    SSL_CTX_set_options(raw, SSL_OP_CIPHER_SERVER_PREFERENCE);
    EXPECT_EQ(SSL_CTX_set_cipher_list(raw, "kDHE:kECDHE"), 1);
  }
  // Without one, a server that asks for certificates refuses to resume its sessions.
  EXPECT_EQ(SSL_CTX_set_session_id_context(raw, reinterpret_cast<const unsigned char*>("test"), 4),
            1);
  if (options.verify_at != 0) {
    X509_VERIFY_PARAM_set_time(SSL_CTX_get0_param(raw), options.verify_at);
  }
  return context;
}

// The common name in the client's certificate.
inline std::string ClientName(const SSL* ssl) {
  const X509Ptr certificate(SSL_get1_peer_certificate(ssl));
  char text[256] = "";
  if (certificate) {
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()), NID_commonName, text,
                              sizeof text);
  }
  return text;
}

// A session: Reads until the client closes, and answers each piece with the same bytes.
inline void Echo(SSL* ssl) {
  char buffer[4096];
  std::size_t size = 0;
  while (SSL_read_ex(ssl, buffer, sizeof buffer, &size) == 1) {
    if (SSL_write_ex(ssl, buffer, size, &size) != 1) return;
  }
}

class TlsServer {
 public:
  // What is done with the connection after the handshake; it is closed when this returns.
  using Session = std::function<void(SSL*)>;

  TlsServer(const TlsServerOptions& options, Session session)
      : context_(NewServerContext(options)),
        session_(std::move(session)),
        socket_(options.address, options.port) {
    socket_.Listen();
    thread_ = std::thread([this, connections = options.connections] {
      for (int i = 0; i < connections; ++i) Serve();
    });
  }
  ~TlsServer() {
    socket_.Stop();
    Join();
  }

  uint16_t port() const { return socket_.port(); }
  // Waits until all connections have been served and closed.
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
    client_ = ClientName(ssl.get());
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
