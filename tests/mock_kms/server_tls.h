// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The TLS of a server whose clients have certificates.

#ifndef OKMS_TESTS_MOCK_KMS_SERVER_TLS_H_
#define OKMS_TESTS_MOCK_KMS_SERVER_TLS_H_

#include <openssl/ssl.h>

#include <string>

#include "mock_kms/clients.h"

namespace okms::test {

inline int ClientsPlace() {
  static const int place = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return place;
}

struct ServerTlsFiles {
  std::string certificate;
  std::string key;
  std::string client_ca;
  Clients* clients = nullptr;  // if somebody wants to know of them
};

// OpenSSL calls it for each certificate of the client's, its own last.
inline int AskClients(int well, X509_STORE_CTX* verification) {
  if (well != 1 || X509_STORE_CTX_get_error_depth(verification) != 0) return well;
  const auto* ssl = static_cast<const SSL*>(
      X509_STORE_CTX_get_ex_data(verification, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* clients = static_cast<Clients*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), ClientsPlace()));
  if (clients == nullptr || clients->Admit(X509_STORE_CTX_get_current_cert(verification))) return 1;
  X509_STORE_CTX_set_error(verification, X509_V_ERR_CERT_REVOKED);
  return 0;
}

// False leaves the reason on OpenSSL's error queue.
inline bool DemandClientCertificates(SSL_CTX& tls, const ServerTlsFiles& files) {
  SSL_CTX_set_verify(&tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, AskClients);
  SSL_CTX_set_ex_data(&tls, ClientsPlace(), files.clients);
  // Without a name for its sessions, such a server breaks off when a client resumes one.
  constexpr unsigned char kName[] = "okms-mock-kms";
  return SSL_CTX_set_session_id_context(&tls, kName, sizeof kName) == 1 &&
         SSL_CTX_set_min_proto_version(&tls, TLS1_2_VERSION) == 1 &&
         SSL_CTX_use_certificate_chain_file(&tls, files.certificate.c_str()) == 1 &&
         SSL_CTX_use_PrivateKey_file(&tls, files.key.c_str(), SSL_FILETYPE_PEM) == 1 &&
         SSL_CTX_load_verify_file(&tls, files.client_ca.c_str()) == 1;
}

}  // namespace okms::test

#endif  // OKMS_TESTS_MOCK_KMS_SERVER_TLS_H_
