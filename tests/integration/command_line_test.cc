// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Flags, variables and files: a mistake is one line and an end; and what never shows in the log.

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "integration/plugin_test.h"
#include "integration/unix_socket.h"

namespace okms::test {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;

class CommandLineTest : public PluginTest {
 protected:
  // The plugin ends with this status and this one line.
  void ExpectRefused(int exit_status, const std::string& line, ChildOptions options = {}) {
    const Ended ended = RunToEnd(std::move(options));
    EXPECT_EQ(ended.exit_status, exit_status);
    EXPECT_EQ(ended.err, absl::StrCat("error: ", line, "\n"));
    EXPECT_EQ(ended.out, "");
  }
};

TEST_F(CommandLineTest, WhatIsMissingIsNamed) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"--protocol", "--protocol is missing: give kmip or rest (or set OKMS_PROTOCOL)"},
      {"--serv-addr", "--serv-addr is missing: give the KMS as host:port (or set OKMS_SERV_ADDR)"},
      {"--encryption-key-id",
       "--encryption-key-id is missing: give the id of the key (or set OKMS_KEY_ID), its label "
       "with "
       "--encryption-key-label (OKMS_KEY_LABEL), or a file that holds the id with "
       "--encryption-key-id-file (OKMS_KEY_ID_FILE)"},
      {"--client-cert",
       "--client-cert is missing: give the PEM file of the access certificate (or set "
       "OKMS_CLIENT_CERT)"},
      {"--client-key",
       "--client-key is missing: give the PEM file of the certificate's key (or set "
       "OKMS_CLIENT_KEY)"},
  };
  for (const auto& [flag, line] : cases) {
    SCOPED_TRACE(flag);
    const std::string value = flags_.at(flag);
    flags_.erase(flag);
    ExpectRefused(2, line);
    flags_[flag] = value;
  }
}

TEST_F(CommandLineTest, ALineForEachWhenAllIsMissing) {
  flags_.clear();
  const Ended ended = RunToEnd();
  EXPECT_EQ(ended.exit_status, 2);
  EXPECT_THAT(ended.err, MatchesRegex("error: --protocol is missing: [^\n]+\n"
                                      "error: --encryption-key-id is missing: [^\n]+\n"
                                      "error: --client-cert is missing: [^\n]+\n"
                                      "error: --client-key is missing: [^\n]+\n"));
}

// As a file of variables brings it whose lines end as on Windows.
TEST_F(CommandLineTest, ALinesEndIsNoPartOfAValue) {
  StartKms();
  flags_.erase("--sock");
  flags_.erase("--timeout");
  ChildOptions options;
  options.environment = {absl::StrCat("OKMS_SOCK=", socket(), "\n"), "OKMS_TIMEOUT=4s\r"};
  StartPlugin(std::move(options));
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
  EXPECT_THAT(plugin().Err(), HasSubstr(absl::StrCat(" serves ", socket(), ", ")));
}

TEST_F(CommandLineTest, AVariableThatIsNoneIsSaid) {
  StartKms();
  ChildOptions options;
  options.environment = {"OKMS_TIMEOUTS=4s"};
  StartPlugin(std::move(options));
  EXPECT_THAT(
      plugin().ErrLines(),
      Contains("warning: OKMS_TIMEOUTS is no variable of this plugin, and has no effect; did "
               "you mean OKMS_TIMEOUT?"));
}

TEST_F(CommandLineTest, WrongValuesAreOneLine) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"--protocol", "ldap"},
      {"--serv-addr", "kms"},
      {"--serv-addr", "kms:0"},
      {"--serv-addr", "https://kms"},
      {"--sock", "relative.sock"},
      {"--timeout", "10"},
      {"--timeout", "0s"},
      {"--timeout", "ten"},
      {"--sock-group", "no-such-group"},
      {"--allow-uid", "no-such-user"},
      {"--allow-gid", "no-such-group"},
      {"--encryption-key-label", "both"},
      {"--no-such-flag", "x"},
      {"--encryption-key-id", std::string(1025, 'k')},
      {"--serv-addr", "kms:1\nerror: forged"},
  };
  for (const auto& [flag, value] : cases) {
    SCOPED_TRACE(absl::StrCat(flag, " ", value.substr(0, 40)));
    const auto before = flags_;
    flags_[flag] = value;
    const Ended ended = RunToEnd();
    EXPECT_EQ(ended.exit_status, 2);
    EXPECT_THAT(ended.err, MatchesRegex("error: [^\n]+\n"));
    EXPECT_THAT(ended.err, HasSubstr(flag));
    EXPECT_EQ(ended.out, "");
    flags_ = before;
  }
}

TEST_F(CommandLineTest, AnUnreadableCertificate) {
  flags_["--client-cert"] = dir_ / "none.pem";
  ExpectRefused(1, absl::StrCat("--client-cert ", dir_ / "none.pem",
                                ": cannot be read: open: No such file or directory; correct the "
                                "path"));
}

TEST_F(CommandLineTest, AFileWithoutACertificate) {
  for (const std::string flag : {"--client-cert", "--client-key", "--ca"}) {
    SCOPED_TRACE(flag);
    std::ofstream(dir_ / "empty.pem") << "nothing\n";
    const std::string before = std::exchange(flags_[flag], dir_ / "empty.pem");
    const Ended ended = RunToEnd();
    EXPECT_EQ(ended.exit_status, 1);
    EXPECT_THAT(ended.err,
                MatchesRegex(absl::StrCat("error: ", flag, " [^\n]+ holds no [^\n]+\n")));
    flags_[flag] = before;
  }
}

TEST_F(CommandLineTest, AKeyOfAnotherCertificate) {
  const KeyPairFiles other = Must(pki_.Issue("other", {.common_name = "plugin"}));
  flags_["--client-key"] = other.key;
  ExpectRefused(1, absl::StrCat("--client-key ", other.key,
                                ": does not belong to the certificate of --client-cert ",
                                client_pair_.certificate, "; give the pair that was issued"));
}

// It serves all the same (certificates_test.cc): here somebody asks what is wrong.
TEST_F(CommandLineTest, AnExpiredCertificateIsAMistakeForCheckConfig) {
  flags_["--check-config"] = "";
  const KeyPairFiles old =
      Must(pki_.Issue("old", {.common_name = "plugin", .valid_from = -7200, .valid_until = -3600}));
  const KeyPairFiles early =
      Must(pki_.Issue("early", {.common_name = "plugin", .valid_from = 3600}));
  for (const auto& [pair, what] :
       {std::pair(old, "expired on "), std::pair(early, "not valid before ")}) {
    flags_["--client-cert"] = pair.certificate;
    flags_["--client-key"] = pair.key;
    const Ended ended = RunToEnd();
    EXPECT_EQ(ended.exit_status, 1);
    EXPECT_THAT(ended.err,
                MatchesRegex(absl::StrCat("error: --client-cert ", pair.certificate, ": ", what,
                                          "20[^\n]+ this machine's clock[^\n]+\n")));
  }
}

TEST_F(CommandLineTest, AnEndThatIsNearIsAWarningForCheckConfig) {
  flags_["--check-config"] = "";
  const KeyPairFiles pair = Must(pki_.Issue(
      "soon", {.common_name = "plugin", .valid_from = -20L * 3600, .valid_until = 4L * 3600}));
  flags_["--client-cert"] = pair.certificate;
  flags_["--client-key"] = pair.key;
  const Ended ended = RunToEnd();
  EXPECT_EQ(ended.exit_status, 0);
  EXPECT_THAT(ended.err, MatchesRegex(absl::StrCat("warning: --client-cert ", pair.certificate,
                                                   ": expires on 20[^\n]+ UTC; 4 hours left: renew "
                                                   "it\n")));
  EXPECT_THAT(ended.out, HasSubstr("all is well: "));
}

TEST_F(CommandLineTest, AKeyThatAllCanReadOnlyWarns) {
  ASSERT_EQ(::chmod(client_pair_.key.c_str(), 0644), 0);
  StartKms();
  StartReady();
  EXPECT_THAT(plugin().ErrLines(),
              Contains(absl::StrCat("warning: --client-key ", client_pair_.key,
                                    ": every user of this machine can read it; chmod o-rwx")));
}

// ---- --check-config

TEST_F(CommandLineTest, ACheckSaysWhatItFound) {
  flags_["--check-config"] = "";
  Ended ended = RunToEnd();
  EXPECT_EQ(ended.exit_status, 0);
  EXPECT_EQ(ended.err, "");
  EXPECT_THAT(ended.out,
              MatchesRegex(absl::StrCat("all is well: certificate \"plugin\" expires on [^\n]+, in "
                                        "[0-9]+ days; its key fits; 1 CA is trusted; socket ",
                                        socket(), " free\n")));
  const UniqueFd theirs = Must(BindUnix(socket()));
  ended = RunToEnd();
  EXPECT_EQ(ended.exit_status, 0);
  EXPECT_THAT(ended.out, HasSubstr(" in use, by the plugin that runs or by another process\n"));
}

TEST_F(CommandLineTest, ACheckLooksAtAllThatTheStartNeeds) {
  flags_["--check-config"] = "";
  std::ofstream(dir_ / "empty.pem") << "";
  flags_["--client-cert"] = dir_ / "none.pem";
  flags_["--client-key"] = dir_.path();
  flags_["--ca"] = dir_ / "empty.pem";
  flags_["--sock"] = dir_ / "none/kms.sock";
  flags_["--user"] = "no-such-user";
  const Ended ended = RunToEnd();
  EXPECT_EQ(ended.exit_status, 1);
  EXPECT_EQ(ended.out, "");
  EXPECT_THAT(ended.err, MatchesRegex("error: --client-cert [^\n]+ cannot be read[^\n]+\n"
                                      "error: --client-key [^\n]+ is a directory[^\n]+\n"
                                      "error: --ca [^\n]+ is empty; give the PEM file\n"
                                      "error: --sock [^\n]+ there is no folder [^\n]+\n"
                                      "error: --user no-such-user: no such user[^\n]+\n"));
}

TEST_F(CommandLineTest, VariablesAloneSuffice) {
  StartKms();
  ChildOptions options;
  options.argv = {PluginProgram()};
  options.environment = {"OKMS_PROTOCOL=kmip",
                         absl::StrCat("OKMS_SERV_ADDR=127.0.0.1:", port()),
                         "OKMS_KEY_LABEL=kek",
                         absl::StrCat("OKMS_CLIENT_CERT=", client_pair_.certificate),
                         absl::StrCat("OKMS_CLIENT_KEY=", client_pair_.key),
                         absl::StrCat("OKMS_CA_CERT=", pki_.ca()),
                         absl::StrCat("OKMS_SOCK=", socket()),
                         "OKMS_TIMEOUT=4s",
                         "OKMS_DEBUG=true"};
  StartPlugin(std::move(options));
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
  ExpectRoundTrip();
}

TEST_F(CommandLineTest, AFlagWinsOverAVariable) {
  StartKms();
  ChildOptions options;
  options.environment = {"OKMS_SERV_ADDR=127.0.0.1:1", "OKMS_KEY_ID=another"};
  StartPlugin(std::move(options));
  EXPECT_TRUE(AwaitKey("key-1"));
}

TEST_F(CommandLineTest, OneDashAsInGo) {
  StartKms();
  std::vector<std::string> argv{PluginProgram()};
  for (const auto& [flag, value] : flags_) {
    // Both of Go's forms: -flag value and -flag=value.
    if (flag == "--sock" || flag == "--ca") {
      argv.push_back(flag.substr(1));
      argv.push_back(value);
    } else {
      argv.push_back(value.empty() ? flag.substr(1) : absl::StrCat(flag.substr(1), "=", value));
    }
  }
  ChildOptions options;
  options.argv = argv;
  StartPlugin(std::move(options));
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
}

TEST_F(CommandLineTest, TheNamesOfOldVersions) {
  StartKms();
  flags_["--kmip-addr"] = std::exchange(flags_["--serv-addr"], "");
  flags_["--kmip-key-id"] = std::exchange(flags_["--encryption-key-id"], "");
  flags_.erase("--serv-addr");
  flags_.erase("--encryption-key-id");
  StartReady();
}

TEST_F(CommandLineTest, Version) {
  for (const std::string flag : {"--version", "-version"}) {
    ChildOptions options;
    options.argv = {PluginProgram(), flag};
    const Ended ended = RunToEnd(std::move(options));
    EXPECT_EQ(ended.exit_status, 0);
    EXPECT_THAT(ended.out, MatchesRegex("okms-k8s-encryption-provider [0-9]+\\.[0-9]+\\.[0-9]+\n"));
    EXPECT_EQ(ended.err, "");
  }
}

TEST_F(CommandLineTest, HelpNamesEveryFlag) {
  for (const std::string flag : {"--help", "-h"}) {
    ChildOptions options;
    options.argv = {PluginProgram(), flag};
    const Ended ended = RunToEnd(std::move(options));
    EXPECT_EQ(ended.exit_status, 0);
    EXPECT_EQ(ended.err, "");
    for (const auto& [name, value] : flags_) EXPECT_THAT(ended.out, HasSubstr(name));
  }
}

TEST_F(CommandLineTest, NoPlaintextInTheLogWhateverGoesWrong) {
  StartKms();
  StartReady();  // with --debug; TearDown compares the log with all of these
  const auto record = client().Encrypt(NewPlaintext());
  ASSERT_THAT(record, IsOk());
  for (const char* const fault :
       {"reset", "garbage", "truncate", "oversize", "wrong-operation", "no-payload", "other-key",
        "short-data", "refuse=InvalidField", "refuse=CryptographicFailure"}) {
    SetFault(fault);
    EXPECT_FALSE(client().Encrypt(NewPlaintext()).ok());
    EXPECT_FALSE(client().Decrypt(*record).ok());
  }
  ClearFault();
  EXPECT_FALSE(client().Encrypt(NewPlaintext(1009)).ok());
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
  ExpectRoundTrip();
  EXPECT_THAT(plugin().Err(), HasSubstr("Encrypt failed"));
  EXPECT_THAT(plugin().Err(), Not(HasSubstr(absl::BytesToHexString(key_.material))));
  EXPECT_THAT(plugin().Err(), Not(HasSubstr("PRIVATE KEY")));
}

TEST_F(CommandLineTest, ACallerCannotForgeALine) {
  StartKms();
  StartReady();
  const auto refused = client().Encrypt("", "uid\nerror: forged\x1b[2J");
  EXPECT_THAT(refused, StatusIs(Code::kInvalidArgument, "the plaintext is empty"));
  ASSERT_TRUE(plugin().WaitForLine(
      "warning: Encrypt failed (uid uid?error: forged?[2J): INVALID_ARGUMENT: the plaintext is "
      "empty"))
      << plugin().Err();
  EXPECT_THAT(plugin().ErrLines(), Not(Contains(StartsWith("error: "))));
}

}  // namespace
}  // namespace okms::test
