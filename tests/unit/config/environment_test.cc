// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "config/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "unit/environment.h"

namespace okms {
namespace {

using test::ScopedVariable;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Not;

TEST(ClearEnvironment, TakesOutWhatLibrariesWouldTellBy) {
  for (const std::string name : {"GRPC_TRACE", "GRPC_VERBOSITY", "GRPC_POLL_STRATEGY",
                                 "SSLKEYLOGFILE", "HOSTALIASES", "RES_OPTIONS", "CARES_HOSTS"}) {
    const ScopedVariable variable(name, "value");
    EXPECT_THAT(ClearEnvironment(), Contains(name));
    EXPECT_EQ(std::getenv(name.c_str()), nullptr) << name;
    EXPECT_THAT(ClearEnvironment(), Not(Contains(name)));
  }
}

TEST(ClearEnvironment, LeavesTheOthers) {
  for (const std::string name :
       {"OKMS_SOCK", "HTTPS_PROXY", "no_proxy", "SSL_CERT_FILE", "NOTIFY_SOCKET", "LISTEN_FDS",
        "CREDENTIALS_DIRECTORY", "GRPC", "XSSLKEYLOGFILE", "SSLKEYLOGFILE2"}) {
    const ScopedVariable variable(name, "value");
    EXPECT_THAT(ClearEnvironment(), Not(Contains(name)));
    EXPECT_STREQ(std::getenv(name.c_str()), "value") << name;
  }
}

TEST(ClearEnvironment, SeveralAtOnce) {
  const ScopedVariable one("GRPC_TRACE", "all");
  const ScopedVariable other("GRPC_VERBOSITY", "");
  EXPECT_THAT(ClearEnvironment(), AllOf(Contains("GRPC_TRACE"), Contains("GRPC_VERBOSITY")));
}

TEST(IsKept, ByEachNameOfTheTable) {
  for (const char* const name : {"OKMS_SOCK", "HTTPS_PROXY", "https_proxy", "no_proxy", "TZ",
                                 "OPENSSL_MODULES", "MALLOC_ARENA_MAX"}) {
    EXPECT_TRUE(IsKept(name)) << name;
  }
  for (const char* const name : {"PATH", "GRPC_TRACE", "HTTPS_PROXY, https_proxy", "TZ2", ""}) {
    EXPECT_FALSE(IsKept(name)) << name;
  }
}

TEST(Variables, EachHasAReason) {
  for (const Variable& variable : ClearedVariables()) EXPECT_STRNE(variable.reason, "");
  for (const Variable& variable : KeptVariables()) EXPECT_STRNE(variable.reason, "");
}

}  // namespace
}  // namespace okms
