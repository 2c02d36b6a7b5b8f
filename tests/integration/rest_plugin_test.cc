// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "integration/rest_plugin_test.h"

namespace okms::test {

RestPluginTest::RestPluginTest() {
  Put(absl::StrCat("id=", kKeyId, ",name=kek"));
  flags_["--protocol"] = "rest";
  flags_["--serv-addr"] = absl::StrCat("https://127.0.0.1:", port());
  flags_["--okms-id"] = kDefaultOkmsId;
  flags_["--encryption-key-id"] = kKeyId;
}

RestPluginTest::~RestPluginTest() = default;

void RestPluginTest::UseKmip() {
  flags_["--protocol"] = "kmip";
  flags_["--serv-addr"] = absl::StrCat("127.0.0.1:", port());
  flags_["--encryption-key-id"] = key_.id;
  flags_.erase("--okms-id");
}

void RestPluginTest::StartOkms(std::size_t page_size) {
  okms_ = Must(MockOkms::Start({.address = kms_address_,
                                .port = port(),
                                .certificate = server_pair_.certificate,
                                .key = server_pair_.key,
                                .client_ca = pki_.ca(),
                                .clients = &clients_,
                                .page_size = page_size},
                               keys_));
}

int RestPluginTest::Count(RestCall call) const {
  int count = 0;
  for (const RestRequest& request : okms_->Requests()) {
    if (CallOf(request) == call) ++count;
  }
  return count;
}

}  // namespace okms::test
