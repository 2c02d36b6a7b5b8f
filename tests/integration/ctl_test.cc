// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The real okms-kms-ctl, and the real plugin, its sandbox on.

#include <pty.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/key_id_hash.h"
#include "integration/plugin_test.h"
#include "support/misplaced_keys.h"
#include "support/plaintext.h"

namespace okms::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

std::string ContentsOf(const std::string& path) {
  std::ifstream stream(path);
  return {std::istreambuf_iterator<char>(stream), {}};
}

enum { kGood = 0, kFindings = 1, kUsageError = 2, kCannotTell = 3 };  // as the manual page has it

class CtlTest : public PluginTest {
 protected:
  CtlTest() { flags_["--status-listen"] = absl::StrCat("unix:", pages_); }

  static Ended Run(std::vector<std::string> arguments, const ChildOptions& as = {}) {
    ChildOptions options = as;
    options.argv = {OKMS_CTL_PROGRAM};
    options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
    if (options.environment.empty()) {
      options.environment = {absl::StrCat("PATH=", std::getenv("PATH"))};
    }
    const auto child = Must(ChildProcess::Start(options));
    const std::optional<int> exit_status = child->Wait();
    return {exit_status, child->Err(), child->Out()};
  }
  Ended Status(std::vector<std::string> arguments = {}) const {
    arguments.insert(arguments.begin(), {"status", "--status", pages_, "--socket", socket()});
    return Run(std::move(arguments));
  }
  // Of kube-apiserver's socket alone.
  Ended KmsStatus(std::vector<std::string> arguments = {}, const ChildOptions& as = {}) const {
    arguments.insert(arguments.begin(), {"status", "--socket", socket()});
    return Run(std::move(arguments), as);
  }

  const std::string pages_ = dir_ / "status.sock";
  const std::string hash_ = KeyIdHash(key_.id);
};

TEST_F(CtlTest, SaysThatItIsReady) {
  StartKms();
  StartReady();
  const Ended text = Status();
  EXPECT_EQ(text.exit_status, kGood) << text.err;
  EXPECT_THAT(text.err, IsEmpty());
  EXPECT_THAT(text.out, StartsWith("ready\nstate         serving; key key-1; "));
  EXPECT_THAT(text.out, HasSubstr(absl::StrCat("\nkey           key-1\n              ", hash_)));
  const std::string host = absl::StrCat("127.0.0.1:", port());
  for (const std::string& line :
       {absl::StrCat("\nhosts         ", host, "  up\n"), std::string("\ncertificates  "),
        std::string("\nchanges       "), std::string("\nsandbox       "),
        absl::StrCat("\nasked at      ", pages_, "\n")}) {
    EXPECT_THAT(text.out, HasSubstr(line));
  }
  const Ended brief = Status({"--brief", "--wait"});
  EXPECT_EQ(brief.exit_status, kGood);
  EXPECT_THAT(brief.out, StartsWith(absl::StrCat("ready, key ", hash_, ", 1 of 1 hosts up, ")));
  const Ended json = Status({"-o", "json"});
  EXPECT_EQ(json.exit_status, kGood);
  EXPECT_THAT(json.out, AllOf(StartsWith("{"), HasSubstr("\"ready\":true"),
                              HasSubstr(absl::StrCat("\"id_hash\":\"", hash_, "\""))));
}

TEST_F(CtlTest, AsksAsKubeApiserverDoes) {
  StartKms();
  StartReady();
  const Ended status = KmsStatus();
  EXPECT_EQ(status.exit_status, kGood) << status.err;
  EXPECT_THAT(status.err, IsEmpty());
  EXPECT_EQ(status.out, absl::StrCat("ready\nkey           key-1\n              ", hash_,
                                     "\nasked at      ", socket(), "\n"));
}

TEST_F(CtlTest, SaysWhyItIsNotReady) {
  StartPlugin();
  EXPECT_THAT(AwaitStatus(Code::kUnavailable),
              StatusIs(Code::kUnavailable, HasSubstr("127.0.0.1")));
  for (const Ended& status : {Status(), KmsStatus()}) {
    EXPECT_EQ(status.exit_status, kFindings) << status.err;
    EXPECT_THAT(status.out, AllOf(StartsWith("NOT READY: UNAVAILABLE: "), HasSubstr("127.0.0.1")));
    EXPECT_THAT(status.err, IsEmpty());
  }
  EXPECT_THAT(KmsStatus().out, Not(HasSubstr("\nkey ")));
  EXPECT_EQ(Status({"--wait=1ms"}).exit_status, kFindings);
}

TEST_F(CtlTest, WaitsUntilItIsReady) {
  ChildOptions options;
  options.argv = {OKMS_CTL_PROGRAM, "status", "--socket", socket(), "--wait=60s", "--brief"};
  const auto child = Must(ChildProcess::Start(options));
  StartKms();
  StartPlugin();
  EXPECT_EQ(child->Wait(), kGood) << child->Err();
  EXPECT_THAT(child->Out(), StartsWith("ready, key "));
}

TEST_F(CtlTest, SaysThatNobodyIsThere) {
  const Ended status = Status();
  EXPECT_EQ(status.exit_status, kCannotTell);
  EXPECT_THAT(status.out, IsEmpty());
  EXPECT_EQ(status.err,
            absl::StrCat("okms-kms-ctl: nobody says how the plugin is:\n  ", pages_,
                         ": there is no such socket\n  ", socket(),
                         ": there is no such socket\nsee whether the plugin serves that place\n"));
}

TEST_F(CtlTest, SaysThatItMayNotAsk) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to become somebody else";
  StartKms();
  StartReady();
  std::filesystem::permissions(dir_.path(), std::filesystem::perms(0755));
  ChildOptions as;
  as.uid = 65534;
  const auto expect_refusal = [&](const std::string& reason) {
    const Ended status = KmsStatus({"--wait"}, as);  // which it does not do
    EXPECT_EQ(status.exit_status, kCannotTell);
    EXPECT_THAT(status.err, AllOf(HasSubstr(reason), HasSubstr("\nrun it as root, or as ")));
  };
  expect_refusal("this user may not connect");  // by the file's mode
  ASSERT_EQ(::chmod(socket().c_str(), 0666), 0);
  expect_refusal("the plugin hung up");
}

TEST_F(CtlTest, KnowsWhatIsNoCommandLine) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{},
                                             {"stat"},
                                             {"status", "--sock", "x"},
                                             {"status", "-o", "yaml"},
                                             {"status", "--wait=soon"},
                                             {"status", "--instance", "a/b"},
                                             {"bugreport", "--instance", "$(id)"}}) {
    const Ended ended = Run(arguments);
    EXPECT_EQ(ended.exit_status, kUsageError);
    EXPECT_THAT(ended.out, IsEmpty());
    EXPECT_THAT(ended.err, Not(IsEmpty()));
  }
  EXPECT_EQ(Run({"--version"}).out, absl::StrCat(OKMS_VERSION, "\n"));
}

TEST_F(CtlTest, SaysWhatIsWrongWithACommandLine) {
  struct {
    std::vector<std::string> arguments;
    std::string said;
  } const rows[] = {
      {{}, "give a command; see --help"},
      {{"stauts"}, "stauts: no such command; did you mean status?"},
      {{"frobnicate"}, "frobnicate: no such command; see --help"},
      {{"--versoin"}, "--versoin: no such option; did you mean --version?"},
      {{"audit", "--endpoint", "https://x"},
       "--endpoint: no such option; did you mean --endpoints?"},
      {{"audit", "--endpoint=https://x"}, "--endpoint: no such option; did you mean --endpoints?"},
      {{"status", "--frobnicate"}, "--frobnicate: no such option; see status --help"},
      {{"status", "-x"}, "-x: no such option; see status --help"},
      {{"status", "check"}, "\"check\" follows no option; see status --help"},
      {{"audit", "--snapshot"}, "--snapshot needs a value; give it after = or a space"},
      {{"audit", "--snapshot", "db", "--fail-unless-key", ""},
       "--fail-unless-key: is empty; give the id of the key"},
      {{"audit", "--snapshot", "db", "--fail-unless-key="},
       "--fail-unless-key: is empty; give the id of the key"},
      {{"audit", "--snapshot", "db", "--fail-on-plaintext="},
       "--fail-on-plaintext: is empty; give a value, or leave it out"},
      {{"audit", "--snapshot", "db", "--fail-on-plaintext", ""},
       "--fail-on-plaintext: is empty; give a value, or leave it out"},
      {{"audit", "--snapshot", "db", "--prove-readable", "--provider", ""},
       "--provider: is empty; give a value, or leave it out"},
      {{"audit", "--snapshot", "db", "--fail-unless-key", "sha256:b454f82c"},
       "--fail-unless-key sha256:b454f82c: a short hash; give all 64 digits, or the id"},
      {{"check", "--key", ""}, "--key: is empty; give the id of the key"},
      {{"check", "--env-file", ""}, "--env-file: is empty; give a value, or leave it out"},
      {{"encryption-config", "--socket", ""}, "--socket: is empty; give a value, or leave it out"},
      {{"status", "-o", ""}, "-o: is empty; give a value, or leave it out"},
      {{"status", "--wait", "1s", ""}, "\"\" follows no option; see status --help"},
  };
  for (const auto& row : rows) {
    const Ended ended = Run(row.arguments);
    EXPECT_EQ(ended.exit_status, kUsageError) << row.said;
    EXPECT_EQ(ended.err, absl::StrCat("okms-kms-ctl: ", row.said, "\n"));
    EXPECT_THAT(ended.out, IsEmpty());
  }
  // All keys begin with it.
  EXPECT_THAT(Run({"audit", "--snapshot", "/nonexistent", "--prefix", ""}).err,
              HasSubstr("snapshot /nonexistent: "));
  // What is the plugin's own is for the plugin to judge.
  EXPECT_THAT(Run({"check", "--", "--client-crt", ""}).out,
              HasSubstr("--client-crt: no such flag; did you mean --client-cert?"));
}

TEST_F(CtlTest, CollectsABugReport) {
  StartKms();
  StartReady();
  const std::string seed = NewPlaintext();
  ASSERT_FALSE(Must(client().Encrypt(seed)).ciphertext.empty());
  const std::string file = dir_ / "report.txt";
  const std::vector<std::string> arguments{"bugreport", "-f",       file,    "--status",
                                           pages_,      "--socket", socket()};
  const Ended ended = Run(arguments);
  EXPECT_EQ(ended.exit_status, kGood) << ended.err;
  const std::string text = ContentsOf(file);
  EXPECT_THAT(text, AllOf(HasSubstr("\n== kernel\nkernel: Linux "), HasSubstr("\n== report\n{\n"),
                          HasSubstr("\nSeccomp: "), HasSubstr(hash_)));
  EXPECT_THAT(text, HasSubstr(absl::StrCat("--client-key ", client_pair_.key)));
  EXPECT_THAT(text, Not(HasSubstr("-----BEGIN")));
  ExpectNoPlaintext(text, seed);
  struct stat status {};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  const Ended again = Run(arguments);  // it overwrites nothing
  EXPECT_EQ(again.exit_status, kCannotTell);
  EXPECT_THAT(again.err, HasSubstr("File exists"));
}

// What the programs of systemd say has all in it that somebody may have put there.
TEST_F(CtlTest, LeavesSecretsOutOfABugReport) {
  const std::string key = ContentsOf(client_pair_.key);
  ASSERT_THAT(key, HasSubstr("PRIVATE KEY"));
  const std::string seed = "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k=";
  std::ofstream(dir_ / "secrets")
      << "# password: canary\nEnvironment=HTTPS_PROXY=http://user:canary@proxy:3128\n"
      << "SetCredential=client-key:canary\nExecStart=/bin/plugin --token canary\n"
      << "ExecStart=/bin/plugin --serv-addr https://user:canary@kms.example\n"
      << key << seed << "\nthe end of it\n";
  for (const char* const program : {"systemctl", "journalctl"}) {
    const std::string path = dir_ / program;
    // Who knows what PIN is? So it is taken out of a unit, where variables are.
    std::ofstream(path) << "#!/bin/sh\ncat " << dir_ / "secrets"
                        << "\n"
                        << "[ \"$1\" != cat ] || echo Environment=PIN=canary\n";
    ASSERT_EQ(::chmod(path.c_str(), 0755), 0);
  }
  ChildOptions as;
  as.environment = {absl::StrCat("PATH=", dir_.path(), ":", std::getenv("PATH"))};
  const Ended ended = Run({"bugreport", "--socket", socket()}, as);
  EXPECT_EQ(ended.exit_status, kGood) << ended.err;
  EXPECT_THAT(ended.out, AllOf(HasSubstr("the end of it"), HasSubstr("@kms.example")));
  EXPECT_THAT(ended.out,
              AllOf(Not(HasSubstr("canary")), Not(HasSubstr("BEGIN")), Not(HasSubstr(seed))));
  for (const absl::string_view line : absl::StrSplit(key, '\n', absl::SkipEmpty())) {
    EXPECT_THAT(ended.out, Not(HasSubstr(std::string(line))));
  }
}

constexpr char kSecret[] = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=";

// kube-apiserver's file.
std::string WithKey() {
  return absl::StrCat(
      "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n"
      "  - {resources: [secrets], providers: [aescbc: {keys: [{name: a, secret: ",
      kSecret, "}]}, identity: {}]}\n");
}

TEST_F(CtlTest, WritesTheEncryptionConfigToItsOwner) {
  const std::string before = dir_ / "before.yaml";
  const std::string after = dir_ / "after.yaml";
  std::ofstream(before) << WithKey();
  const std::vector<std::string> arguments{
      "encryption-config", "--socket", socket(), "--from", before, "-f", after};
  const Ended ended = Run(arguments);
  EXPECT_EQ(ended.exit_status, kGood) << ended.err;
  EXPECT_THAT(ended.out, IsEmpty());
  EXPECT_THAT(ended.err, Not(HasSubstr(kSecret)));
  EXPECT_THAT(ContentsOf(after), AllOf(HasSubstr(absl::StrCat("endpoint: unix://", socket())),
                                       HasSubstr(absl::StrCat("secret: ", kSecret))));
  struct stat info {};
  ASSERT_EQ(::stat(after.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  const Ended again = Run(arguments);
  EXPECT_EQ(again.exit_status, kCannotTell);
  EXPECT_THAT(again.err, HasSubstr("File exists"));
}

TEST_F(CtlTest, KeepsTheEndpointOfBefore) {
  const std::string readers = dir_ / "readers.yaml";
  const Ended first =
      Run({"encryption-config", "--socket", socket(), "--step", "readers", "-f", readers});
  EXPECT_EQ(first.exit_status, kGood) << first.err;
  EXPECT_THAT(first.err, IsEmpty());
  const Ended second = Run({"encryption-config", "--from", readers, "--step", "writer"});
  EXPECT_EQ(second.exit_status, kGood) << second.err;
  EXPECT_EQ(second.err,
            absl::StrCat("okms-kms-ctl: the endpoint is that of --from: unix://", socket(), "\n"));
  EXPECT_THAT(second.out, HasSubstr(absl::StrCat("endpoint: unix://", socket(), "\n")));
}

TEST_F(CtlTest, SaysThatNoSocketIsThereYet) {
  const Ended ended = Run({"encryption-config", "--instance", "one"});
  EXPECT_EQ(ended.exit_status, kGood);
  EXPECT_EQ(ended.err,
            "okms-kms-ctl: there is no socket at /run/okms-k8s-encryption-provider/one/kms.sock "
            "yet; where the plugin has another one, name it with --socket\n");
}

// What it writes when its standard output is a terminal; with its exit status.
std::pair<int, std::string> OnATerminal(const std::vector<std::string>& arguments) {
  std::vector<char*> argv{const_cast<char*>(OKMS_CTL_PROGRAM)};
  for (const std::string& each : arguments) argv.push_back(const_cast<char*>(each.c_str()));
  argv.push_back(nullptr);
  int terminal = -1;
  const pid_t child = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  if (child == 0) {
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  std::string text;
  char buffer[4096];
  // It ends with an error once the child has gone.
  for (ssize_t size = 0; (size = ::read(terminal, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(size));
  }
  ::close(terminal);
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return {WEXITSTATUS(status), text};
}

TEST_F(CtlTest, ShowsNoKeyOnATerminal) {
  const std::string before = dir_ / "before.yaml";
  std::ofstream(before) << WithKey();
  const auto [refused, text] = OnATerminal({"encryption-config", "--from", before});
  EXPECT_EQ(refused, kUsageError);
  EXPECT_THAT(text, AllOf(HasSubstr("give a new file with -f"), Not(HasSubstr(kSecret))));
  const auto [shown, without_keys] = OnATerminal({"encryption-config"});
  EXPECT_EQ(shown, kGood);
  EXPECT_THAT(without_keys, HasSubstr("kind: EncryptionConfiguration"));
  // To a pipe it goes: what is there is for the administrator to know.
  EXPECT_THAT(Run({"encryption-config", "--from", before}).out, HasSubstr(kSecret));
}

// Its standard output is a file of this mode, as a shell makes it for ">".
std::optional<int> IntoAFile(const std::vector<std::string>& arguments, const std::string& path,
                             mode_t mode, std::string& err) {
  std::ofstream(path).close();
  Must(::chmod(path.c_str(), mode) == 0, "chmod");
  ChildOptions options;
  options.argv = {"/bin/sh", "-c", "out=$1; shift; exec \"$@\" >\"$out\"",
                  "sh",      path, OKMS_CTL_PROGRAM};
  options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
  const auto child = Must(ChildProcess::Start(options));
  const std::optional<int> exit_status = child->Wait();
  err = child->Err();
  return exit_status;
}

TEST_F(CtlTest, WritesNoKeyIntoAFileThatOthersMayOpen) {
  const std::string before = dir_ / "before.yaml";
  const std::string after = dir_ / "after.yaml";
  std::ofstream(before) << WithKey();
  std::string err;
  for (const mode_t mode : {0644U, 0640U, 0602U, 0604U}) {
    EXPECT_EQ(IntoAFile({"encryption-config", "--from", before}, after, mode, err), kUsageError);
    EXPECT_THAT(err, AllOf(HasSubstr("in a file that others may open; give a new file with -f"),
                           Not(HasSubstr(kSecret))));
    EXPECT_THAT(ContentsOf(after), IsEmpty()) << mode;
  }
  EXPECT_EQ(IntoAFile({"encryption-config", "--from", before}, after, 0600, err), kGood) << err;
  EXPECT_THAT(ContentsOf(after), HasSubstr(kSecret));
  // Nothing secret is in it.
  EXPECT_EQ(IntoAFile({"encryption-config"}, after, 0644, err), kGood) << err;
  EXPECT_THAT(ContentsOf(after), HasSubstr("kind: EncryptionConfiguration"));
}

TEST_F(CtlTest, NeverSaysWhatAMisplacedKeyIs) {
  const std::string before = dir_ / "before.yaml";
  for (const MisplacedKey& row : MisplacedKeys()) {
    std::ofstream(before) << FilesOf(row).front();
    for (const char* const output : {"text", "json"}) {
      const Ended ended = Run({"encryption-config", "--from", before, "-o", output});
      ExpectNoKey(ended.err);
      if (ended.exit_status == kFindings) {
        EXPECT_THAT(ended.out, IsEmpty()) << row.name;
      } else {
        EXPECT_THAT(row.name, StartsWith("Kms"));
      }
    }
  }
}

TEST_F(CtlTest, RefusesWhatLeadsToNoEncryptionConfig) {
  const std::string empty = dir_ / "empty.yaml";
  std::ofstream(empty).close();
  struct {
    std::vector<std::string> arguments;
    int exit_status;
    std::string said;
  } const rows[] = {
      {{"--name", "a:b"}, kUsageError, "--name a:b: no name that kube-apiserver takes"},
      {{"--name", "a b"}, kUsageError, "--name a b: no name that kube-apiserver takes"},
      {{"--name="}, kUsageError, "--name"},
      {{"--timeout", "0s"}, kUsageError, "--timeout 0s: no time above 0 and up to 1m"},
      {{"--timeout", "3"}, kUsageError, "--timeout 3: no time"},
      {{"--timeout", "inf"}, kUsageError, "--timeout inf: no time"},
      {{"--timeout", "2m"}, kUsageError, "--timeout 2m: no time"},
      {{"--resource", "Secrets"}, kUsageError, "--resource Secrets: is no name of a resource"},
      {{"--socket", "kms.sock"}, kUsageError, "--socket: \"kms.sock\" is no absolute path"},
      {{"--instance", "a/b"}, kUsageError, "--instance a/b: no name of an instance"},
      {{"--step", "last"}, kUsageError, "--step: give readers, writer or only"},
      {{"--from-identity", "--from", empty}, kUsageError, "--from-identity excludes --from"},
      {{"--from", ""}, kUsageError, "--from: is empty"},
      {{"--from", "/nonexistent"}, kCannotTell, "--from: /nonexistent: cannot be read: No such"},
      {{"--from", "/proc"}, kCannotTell, "--from: /proc: is no regular file"},
      {{"--from", empty}, kFindings, "--from: the file is empty"},
      {{"-f", "/nonexistent/new"}, kCannotTell, "-f /nonexistent/new: No such file"},
  };
  for (const auto& row : rows) {
    std::vector<std::string> arguments{"encryption-config"};
    arguments.insert(arguments.end(), row.arguments.begin(), row.arguments.end());
    const Ended ended = Run(arguments);
    EXPECT_EQ(ended.exit_status, row.exit_status) << row.said;
    EXPECT_THAT(ended.err, HasSubstr(row.said));
    EXPECT_THAT(ended.out, IsEmpty());
  }
}

}  // namespace
}  // namespace okms::test
