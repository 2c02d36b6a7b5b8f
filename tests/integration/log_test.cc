// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The log, when calls fail by the hundred, and when nobody reads it.

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "integration/plugin_test.h"

namespace okms::test {
namespace {

using testing::HasSubstr;

class LogTest : public PluginTest {
 protected:
  LogTest() { StartKms(); }

  // Decrypts that fail, of records with distinct keys.
  void FailDecrypts(int count) {
    const Record good = Must(client().Encrypt(NewPlaintext()));
    for (int i = 0; i < count; ++i) {
      Record bad = good;
      bad.key_id = absl::StrCat("no-key-", i % 40, std::string(80, '.'));
      ASSERT_THAT(client().Decrypt(bad, absl::StrCat("uid-", i)),
                  StatusIs(Code::kNotFound, testing::_));
    }
  }
};

TEST_F(LogTest, FailedDecryptNamesTheKeyOfTheRecord) {
  StartReady();
  Record record = Must(client().Encrypt(NewPlaintext()));
  record.key_id = "retired-key";
  EXPECT_THAT(client().Decrypt(record, "uid-1"), StatusIs(Code::kNotFound, testing::_));
  EXPECT_TRUE(plugin().WaitForLine("Decrypt failed (uid uid-1, key retired-key): "));
}

TEST_F(LogTest, CallsThatFailByTheHundredAreCounted) {
  StartReady();
  FailDecrypts(600);
  ASSERT_TRUE(plugin().WaitForLine("no-key-0"));
  plugin().Signal(SIGTERM);
  ASSERT_EQ(plugin().Wait(), 0);
  const auto lines = plugin().ErrLines();
  const auto failed = std::count_if(lines.begin(), lines.end(), [](const std::string& line) {
    return absl::StrContains(line, "Decrypt failed");
  });
  EXPECT_LE(failed, 120);  // of the first 20 keys, 5 each, and one that counts
  EXPECT_THAT(plugin().Err(), HasSubstr("(and 10 more in the last minute)"));
  EXPECT_THAT(plugin().Err(), HasSubstr("300 more calls failed in the last minute"));
  StartPlugin();
}

TEST_F(LogTest, NobodyWaitsWhileItIsNotRead) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  ASSERT_EQ(::fcntl(writer.get(), F_SETPIPE_SZ, 4096), 4096);
  ChildOptions options;
  options.err_fd = writer.get();
  LaunchPlugin(options);
  ASSERT_THAT(AwaitStatus(Code::kOk), IsOk());
  FailDecrypts(650);
  EXPECT_THAT(client().Status(), IsOk());
  ExpectRoundTrip();
  ExpectRoundTrip(*NewClient());  // the listener logs as well

  // The pipe is full indeed.
  ASSERT_EQ(::fcntl(writer.get(), F_SETFL, O_NONBLOCK), 0);
  EXPECT_LT(::write(writer.get(), std::string(4096, 'x').data(), 4096), 4096);
  EXPECT_EQ(StopPlugin(), 0);
  StartPlugin();
}

}  // namespace
}  // namespace okms::test
