// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A certificate authority for tests and for the mock KMS. Not for real use: the keys lie in files.

#ifndef OKMS_TESTS_SUPPORT_TEST_PKI_H_
#define OKMS_TESTS_SUPPORT_TEST_PKI_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "net/openssl_ptr.h"

namespace okms::test {

struct CertificateRequest {
  std::string common_name;
  // Subject alternative names, as OpenSSL writes them: "DNS:localhost", "IP:127.0.0.1".
  std::vector<std::string> names = {};
  bool for_server = false;  // extended key usage serverAuth, else clientAuth
  std::string usage = {};   // or that one, as OpenSSL writes it
  bool rsa = false;         // RSA 2048 in place of EC P-256
  long valid_from = -3600;  // seconds from now
  long valid_until = 30L * 24 * 3600;
};

struct KeyPairFiles {
  std::string certificate;
  std::string key;  // mode 0600
};

class TestPki {
 public:
  // Makes a CA whose certificate is `directory`/ca.pem. The directory must exist.
  static absl::StatusOr<TestPki> Create(const std::string& directory,
                                        const std::string& common_name = "Test CA");

  // A CA that this one has signed; `directory` must exist and be another.
  absl::StatusOr<TestPki> NewIntermediate(const std::string& directory,
                                          const std::string& common_name) const;

  const std::string& ca() const { return ca_path_; }

  // Writes `directory`/`file_name`.pem and .key.
  absl::StatusOr<KeyPairFiles> Issue(const std::string& file_name,
                                     const CertificateRequest& request);

 private:
  TestPki() = default;
  static absl::StatusOr<TestPki> Create(const std::string& directory,
                                        const std::string& common_name, const TestPki* issuer);

  std::string directory_;
  std::string ca_path_;
  EvpPkeyPtr ca_key_;
  X509Ptr ca_;
};

}  // namespace okms::test

#endif  // OKMS_TESTS_SUPPORT_TEST_PKI_H_
