// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// An apiserver that starts asks for the same seed many times before it has the first answer.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <future>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "integration/rest_plugin_test.h"

namespace okms::test {
namespace {

constexpr int kCalls = 64;

class HerdTest : public RestPluginTest {
 protected:
  HerdTest() {
    flags_["--debug"] = "";
    flags_["--timeout"] = "30s";
  }
  // How many calls wait for another one's answer.
  std::ptrdiff_t Waiting() {
    const std::vector<std::string> lines = plugin().ErrLines();
    return std::count_if(lines.begin(), lines.end(), [](const std::string& line) {
      return absl::StrContains(line, "waits for the answer to the same question");
    });
  }
};

// One whose deadline comes before that of the first, by a millisecond, asks by itself.
TEST_F(HerdTest, OfTheSameSeedIsHardlyMoreThanOneRequest) {
  constexpr int kMost = 8;
  StartOkms();
  StartReady();
  const std::string plaintext = NewPlaintext();
  const Record record = Must(client().Encrypt(plaintext));
  okms().ClearRequests();
  okms().Hold();
  const auto patient = NewClient({.timeout = std::chrono::seconds(30)});
  std::vector<std::future<absl::StatusOr<std::string>>> calls;
  for (int i = 0; i < kCalls; ++i) {
    calls.push_back(std::async(std::launch::async, [&] { return patient->Decrypt(record); }));
  }
  const auto asked = [&] { return Count(RestCall::kDecrypt); };
  EXPECT_TRUE(WaitUntil([&] { return Waiting() + asked() == kCalls; })) << Waiting();
  okms().Release();
  for (auto& call : calls) {
    const auto back = call.get();
    ASSERT_THAT(back, IsOk());
    EXPECT_TRUE(*back == plaintext);
  }
  EXPECT_LE(asked(), kMost);
}

}  // namespace
}  // namespace okms::test
