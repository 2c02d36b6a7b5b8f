// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// No seed, no PEM and no password in the log: at its most detailed, in each of its forms, whatever
// is wrong. (Plaintexts of all tests are looked for at each end: PluginTest.)

#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "integration/rest_plugin_test.h"

namespace okms::test {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::Ne;
using testing::Not;

constexpr char kPassword[] = "canary-of-the-proxy";

std::string ContentOf(const std::string& path) {
  std::ostringstream content;
  content << std::ifstream(path).rdbuf();
  return content.str();
}

class LogSecretsTest : public RestPluginTest, public testing::WithParamInterface<const char*> {
 protected:
  LogSecretsTest() : pem_(ContentOf(client_pair_.key)) { flags_["--log-format"] = GetParam(); }

  void ExpectNoSecret(const std::string& log, const std::string& when) {
    EXPECT_THAT(log, Not(HasSubstr(kPassword))) << when;
    EXPECT_THAT(log, Not(HasSubstr(absl::Base64Escape(absl::StrCat("user:", kPassword))))) << when;
    EXPECT_THAT(log, Not(HasSubstr(absl::Base64Escape(pem_.substr(0, 48))))) << when;
    int lines = 0;
    for (const std::string& line : std::vector<std::string>(absl::StrSplit(pem_, '\n'))) {
      if (line.size() < 16 || line[0] == '-') continue;
      EXPECT_THAT(log, Not(HasSubstr(line.substr(0, 16)))) << when;
      ++lines;
    }
    ASSERT_GT(lines, 0);
  }
  // It must end by itself, and say why.
  void ExpectEnd(const std::string& when, ChildOptions options = {}) {
    const Ended ended = RunToEnd(std::move(options));
    EXPECT_THAT(ended.exit_status, AnyOf(1, 2)) << when;
    EXPECT_THAT(ended.err, Ne("")) << when;
    ExpectNoSecret(absl::StrCat(ended.err, ended.out), when);
  }

  const std::string pem_;
};
INSTANTIATE_TEST_SUITE_P(, LogSecretsTest, testing::Values("text", "json"));

TEST_P(LogSecretsTest, WhateverFlagIsGivenAKeyInPlaceOfItsName) {
  const std::vector<std::string> forms{pem_, absl::StrReplaceAll(pem_, {{"\n", " "}}),
                                       absl::StrReplaceAll(pem_, {{"\n", "\\n"}}),
                                       absl::Base64Escape(pem_), absl::StrCat("'", pem_, "'")};
  const auto good = flags_;
  for (const char* flag : {"--protocol",
                           "--serv-addr",
                           "--timeout",
                           "--max-connections",
                           "--okms-id",
                           "--encryption-key-id",
                           "--encryption-key-id-file",
                           "--label-grace",
                           "--client-cert",
                           "--client-key",
                           "--ca",
                           "--sock",
                           "--sock-group",
                           "--allow-uid",
                           "--allow-gid",
                           "--status-listen",
                           "--user",
                           "--log-format",
                           "--debug",
                           "--no-such-flag",
                           "--client-kye"}) {
    for (const std::string& form : forms) {
      flags_ = good;
      flags_["--check-config"] = "";
      if (flag == std::string("--encryption-key-id-file")) flags_.erase("--encryption-key-id");
      flags_[flag] = form;
      ExpectEnd(absl::StrCat(flag, " ", form.substr(0, 12)));
    }
  }
  flags_ = good;
  flags_.erase("--client-key");
  for (const std::string& form : forms) {
    ChildOptions options;
    options.environment = {absl::StrCat("OKMS_CLIENT_KEY=", form)};
    ExpectEnd("variable", std::move(options));
    options = {};
    options.argv = Argv();
    options.argv.push_back(form);
    ExpectEnd("by itself", std::move(options));
  }
}

TEST_P(LogSecretsTest, AFileThatIsTheKey) {
  const auto good = flags_;
  for (const char* flag : {"--client-cert", "--ca", "--encryption-key-id-file"}) {
    flags_ = good;
    if (flag == std::string("--encryption-key-id-file")) flags_.erase("--encryption-key-id");
    flags_[flag] = client_pair_.key;
    ExpectEnd(flag);
  }
}

TEST_P(LogSecretsTest, AnAddressWithAPassword) {
  const std::string address = absl::StrCat("user:", kPassword, "@127.0.0.1:1");
  for (const std::string& text :
       {address, "https://" + address, "http://" + address, absl::StrCat(address, "/?x#y"),
        absl::StrCat("https://user:", kPassword, "#@127.0.0.1:1")}) {
    const auto good = flags_;
    flags_["--serv-addr"] = text;
    ExpectEnd(text);
    UseKmip();
    flags_["--serv-addr"] = text;
    ExpectEnd(text);
    flags_ = good;
    flags_["--check-config"] = "";
    flags_["--status-listen"] = text;
    ExpectEnd(text);
    flags_ = good;
  }
}

TEST_P(LogSecretsTest, AProxyWithAPassword) {
  StartOkms();
  flags_["--serv-addr"] = "https://kms.invalid";
  const std::string user = absl::StrCat("user:", kPassword, "@");
  const std::string here = absl::StrCat(user, "127.0.0.1:", port());
  for (const std::string& proxy :
       {"http://" + here, "https://" + here, "socks5h://" + here, "no-such://" + here, here,
        absl::StrCat("http://user:", kPassword, "://@/@127.0.0.1:1"), user + "127.0.0.1:99999",
        user + "ho st:1", user + "[::1:1"}) {
    ChildOptions options;
    options.environment = {"HTTPS_PROXY=" + proxy};
    LaunchPlugin(std::move(options));
    EXPECT_TRUE(plugin().WaitForLine("REST GET /api/")) << proxy;
    ExpectNoSecret(absl::StrCat(plugin().Err(), plugin().Out()), proxy);
    plugin().Signal(SIGKILL);
    ASSERT_TRUE(plugin().Wait());
  }
  flags_["--serv-addr"] = absl::StrCat("https://127.0.0.1:", port());
  StartPlugin();
}

// Peers that misbehave, with what they were sent at hand.
TEST_P(LogSecretsTest, CallsThatFail) {
  StartOkms();
  StartReady();
  const Record record = Must(client().Encrypt(NewPlaintext()));
  for (const char* fault : {"echo:encrypt:1", "echo:decrypt:1", "wrong-data:decrypt:1",
                            "bad-json:decrypt:1", "status=503:encrypt:1"}) {
    SetRestFault(fault);
    (void)client().Encrypt(NewPlaintext());
    (void)client().Decrypt(record);
  }
  ASSERT_TRUE(plugin().WaitForLine("Encrypt failed"));
  ExpectNoSecret(absl::StrCat(plugin().Err(), plugin().Out()), "calls");
}

}  // namespace
}  // namespace okms::test
