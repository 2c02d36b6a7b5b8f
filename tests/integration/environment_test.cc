// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Variables by which libraries would tell what they see: the plugin does its job and says nothing.

#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "absl/strings/escaping.h"
#include "integration/rest_plugin_test.h"

namespace okms::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class EnvironmentTest : public RestPluginTest {
 protected:
  void DoTheJob() {
    // Where the plugin's user could write, too.
    const std::string directory = dir_ / "logs";
    ASSERT_EQ(::mkdir(directory.c_str(), 0777), 0);
    ASSERT_EQ(::chmod(directory.c_str(), 0777), 0);
    ASSERT_EQ(::chmod(dir_.path().c_str(), 0755), 0);
    ChildOptions options;
    options.environment = {"GRPC_TRACE=all", "GRPC_VERBOSITY=DEBUG",
                           absl::StrCat("SSLKEYLOGFILE=", directory, "/keys"),
                           absl::StrCat("HOSTALIASES=", directory, "/none")};
    StartPlugin(std::move(options));
    ASSERT_THAT(AwaitStatus(Code::kOk), IsOk());
    // gRPC shows bytes one by one, in hex, and as they are where they can be printed.
    const std::string plaintext = absl::BytesToHexString(NewPlaintext(16));
    const auto record = client().Encrypt(plaintext);
    ASSERT_THAT(record, IsOk());
    ASSERT_THAT(client().Decrypt(*record), IsOk());
    ASSERT_EQ(StopPluginAndKeepItsLog(), 0);
    EXPECT_THAT(log_, Not(HasSubstr(plaintext)));
    EXPECT_THAT(log_, Not(HasSubstr("tcp_posix.cc")));
    EXPECT_THAT(
        log_,
        HasSubstr("that are not used: GRPC_TRACE, GRPC_VERBOSITY, SSLKEYLOGFILE, HOSTALIASES"));
    EXPECT_TRUE(std::filesystem::is_empty(directory));
  }

 private:
  std::optional<int> StopPluginAndKeepItsLog() {
    plugin().Signal(SIGTERM);
    const std::optional<int> exit_status = plugin().Wait();
    log_ = absl::StrCat(plugin().Err(), plugin().Out());
    StopPlugin();
    return exit_status;
  }

  std::string log_;
};

TEST_F(EnvironmentTest, TellsNothingOverKmip) {
  UseKmip();
  StartKms();
  DoTheJob();
}

TEST_F(EnvironmentTest, TellsNothingOverRest) {
  StartOkms();
  DoTheJob();
}

}  // namespace
}  // namespace okms::test
