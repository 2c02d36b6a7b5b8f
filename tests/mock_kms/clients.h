// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Which clients come, by the names in their certificates, and which are let in.

#ifndef OKMS_TESTS_MOCK_KMS_CLIENTS_H_
#define OKMS_TESTS_MOCK_KMS_CLIENTS_H_

#include <openssl/x509.h>

#include <array>
#include <map>
#include <set>
#include <string>

#include "base/guarded.h"

namespace okms::test {

// Thread-safe. A server that is told to must not outlive it.
class Clients {
 public:
  // From now on: whose certificate has this common name is told that it was revoked.
  void Refuse(const std::string& name) {
    state_.With([&](State& state) { state.refused.insert(name); });
  }
  // How many connections of that name were let in.
  int Admitted(const std::string& name) const {
    return state_.With([&](const State& state) {
      const auto found = state.admitted.find(name);
      return found == state.admitted.end() ? 0 : found->second;
    });
  }

  // For a verification that came as far as to the client's own certificate.
  bool Admit(X509* certificate) {
    std::array<char, 256> name{};
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name.data(),
                              name.size());
    return state_.With([&](State& state) {
      if (state.refused.contains(name.data())) return false;
      ++state.admitted[name.data()];
      return true;
    });
  }

 private:
  struct State {
    std::set<std::string> refused;
    std::map<std::string, int> admitted;
  };
  Guarded<State> state_;
};

}  // namespace okms::test

#endif  // OKMS_TESTS_MOCK_KMS_CLIENTS_H_
