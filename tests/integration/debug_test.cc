// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What --debug tells, and what it must not.

#include <algorithm>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "integration/rest_plugin_test.h"

namespace okms::test {
namespace {

using testing::HasSubstr;
using testing::Not;

enum class Speaks { kKmip, kRest };

class DebugTest : public RestPluginTest, public testing::WithParamInterface<Speaks> {
 protected:
  DebugTest() {
    if (Kmip()) UseKmip();
  }
  static bool Kmip() { return GetParam() == Speaks::kKmip; }
  void StartEither() {
    if (Kmip()) {
      StartKms();
    } else {
      StartOkms();
    }
  }
  void SetEither(const std::string& kmip, const std::string& rest) {
    if (Kmip()) {
      SetFault(kmip);
    } else {
      SetRestFault(rest);
    }
  }
  // Whether each of these comes, in a line of --debug.
  void ExpectEvents(const std::vector<std::string>& parts) {
    for (const std::string& part : parts) {
      const auto told = [&] {
        const std::vector<std::string> lines = plugin().ErrLines();
        return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
          return absl::StartsWith(line, "debug: ") && absl::StrContains(line, part);
        });
      };
      EXPECT_TRUE(WaitUntil(told, std::chrono::seconds(5))) << part;
    }
  }
  // Whatever form it may take in a text.
  void ExpectUnsaid(const std::string& secret) {
    const std::string log = absl::StrCat(plugin().Err(), plugin().Out());
    const std::string part = secret.substr(0, 15);
    EXPECT_THAT(log, Not(HasSubstr(part)));
    EXPECT_THAT(absl::AsciiStrToLower(log), Not(HasSubstr(absl::BytesToHexString(part))));
    EXPECT_THAT(log, Not(HasSubstr(absl::Base64Escape(part))));
    EXPECT_THAT(log, Not(HasSubstr(absl::WebSafeBase64Escape(part))));
  }
};
INSTANTIATE_TEST_SUITE_P(, DebugTest, testing::Values(Speaks::kKmip, Speaks::kRest),
                         [](const auto& test) {
                           return test.param == Speaks::kKmip ? "Kmip" : "Rest";
                         });

TEST_P(DebugTest, TellsTheCourseOfEvents) {
  StartEither();
  StartReady();
  ExpectRoundTrip();
  ExpectEvents({"connection of user ", "Status: OK in ", "Encrypt: OK in ", "Decrypt: OK in ",
                ": a round trip went well", "check: ended, all is well"});
  const std::string peer = absl::StrCat("debug: 127.0.0.1:", port(), ": ");
  if (Kmip()) {
    ExpectEvents({peer + "connected", peer + "TLSv1.3 with TLS_", "KMIP 1.4 negotiated",
                  "KMIP 1.4 Encrypt: answered in "});
  } else {
    ExpectEvents({peer + "connected, TLSv1.3 with TLS_", "REST GET /api/",
                  absl::StrCat("/servicekey/", kKeyId, "/encrypt: HTTP 200 in ")});
  }
  plugin().Signal(SIGTERM);
  ASSERT_TRUE(plugin().Wait());
  EXPECT_THAT(plugin().Err(), HasSubstr(peer + "connection closed"));
  StartPlugin();
}

TEST_P(DebugTest, TellsWhatIsTriedAgain) {
  StartEither();
  StartReady();
  SetEither("reset:Encrypt:1", "status=503:encrypt:1");
  ExpectRoundTrip();
  if (Kmip()) {
    ExpectEvents({"KMIP: tried again after: KMIP Encrypt: ", "connection closed, broken"});
  } else {
    ExpectEvents({"REST: attempt 2 follows, after HTTP 503"});
  }
}

TEST_P(DebugTest, TellsWhyThereIsNoConnection) {
  StartPlugin();
  ExpectEvents({absl::StrCat(Kmip() ? "no connection: " : "REST GET /api/"), "connect: Connection ",
                "check: ended, something is wrong"});
}

// The plaintexts of all tests are looked for at each end (PluginTest); here, all else as well, and
// when things go wrong.
TEST_P(DebugTest, TellsNoContents) {
  StartEither();
  StartReady();
  const Record record = Must(client().Encrypt(NewPlaintext()));
  EXPECT_THAT(client().Decrypt(record), IsOk());
  const std::vector<std::pair<std::string, std::string>> faults{
      {"wrong-data:Decrypt:1", "wrong-data:decrypt:1"},
      {"garbage:Encrypt:1", "echo:encrypt:1"},
      {"truncate:Decrypt:1", "bad-json:decrypt:1"},
      {"refuse=PermissionDenied:Encrypt:1", "echo:decrypt:1"}};
  for (const auto& [kmip, rest] : faults) {
    SetEither(kmip, rest);
    (void)client().Encrypt(NewPlaintext());
    (void)client().Decrypt(record);
  }
  ASSERT_TRUE(plugin().WaitForLine("debug: Decrypt: "));
  ExpectUnsaid(record.ciphertext);
  // The ciphertext of a JWE is a part of it.
  ExpectUnsaid(record.ciphertext.substr(record.ciphertext.size() / 2));
  for (const auto& [name, value] : record.annotations) {
    if (value.size() >= 12) ExpectUnsaid(value);
  }
  std::ifstream key(client_pair_.key);
  for (std::string line; std::getline(key, line);) {
    if (line.size() < 16) continue;
    EXPECT_THAT(plugin().Err(), Not(HasSubstr(line)));
  }
}

TEST_P(DebugTest, WithoutItNothingOfThatIsTold) {
  flags_.erase("--debug");
  StartEither();
  StartReady();
  ExpectRoundTrip();
  EXPECT_THAT(plugin().Err(), Not(HasSubstr("debug: ")));
  EXPECT_THAT(plugin().Err(), Not(HasSubstr("connected")));
}

class ProxyDebugTest : public RestPluginTest {};

TEST_F(ProxyDebugTest, TellsNoPasswordOfAProxy) {
  ChildOptions options;
  options.environment = {
      absl::StrCat("HTTPS_PROXY=http://somebody:pass-of-the-proxy@127.0.0.1:", port())};
  flags_["--serv-addr"] = "https://kms.invalid";
  StartPlugin(std::move(options));
  EXPECT_TRUE(plugin().WaitForLine("debug: REST GET /api/"));
  EXPECT_TRUE(plugin().WaitForLine("not ready: "));
  EXPECT_THAT(plugin().Err(), Not(HasSubstr("pass-of-the-proxy")));
}

}  // namespace
}  // namespace okms::test
