// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// PluginTest over REST: the OKMS mock in place of the KMIP server.

#ifndef OKMS_TESTS_INTEGRATION_REST_PLUGIN_TEST_H_
#define OKMS_TESTS_INTEGRATION_REST_PLUGIN_TEST_H_

#include <memory>
#include <string>
#include <vector>

#include "integration/plugin_test.h"
#include "mock_kms/key_store.h"
#include "mock_kms/mock_okms.h"

namespace okms::test {

class RestPluginTest : public PluginTest {
 protected:
  static constexpr char kKeyId[] = "6f1de3a0-2b5c-4d7e-8f90-1a2b3c4d5e6f";
  static constexpr char kOtherKeyId[] = "0b1de3a0-2b5c-4d7e-8f90-1a2b3c4d5e6f";

  // There is a key of id kKeyId and name "kek", which flags_ name by its id.
  RestPluginTest();
  ~RestPluginTest() override;

  // For what must hold over both protocols: has flags_ name the mock KMS of KMIP instead.
  void UseKmip();
  // On the test's port, each time.
  void StartOkms(std::size_t page_size = 100);
  void StopOkms() { okms_.reset(); }
  MockOkms& okms() { return *okms_; }
  void Put(const std::string& key) { keys_.Put(Must(ParseMockKey(key))); }
  void SetRestFault(const std::string& text) { okms_->SetFault(Must(ParseRestFault(text))); }
  void ClearRestFault() { okms_->SetFault(std::nullopt); }
  // How often a call was asked for since the last ClearRequests.
  int Count(RestCall call) const;

  KeyStore keys_;

 private:
  std::unique_ptr<MockOkms> okms_;
};

}  // namespace okms::test

#endif  // OKMS_TESTS_INTEGRATION_REST_PLUGIN_TEST_H_
