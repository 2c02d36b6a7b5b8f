// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The socket that kube-apiserver calls, and kube-apiserver's own file.

#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/unix_address.h"
#include "integration/check_test.h"
#include "integration/unix_socket.h"
#include "support/misplaced_keys.h"

namespace okms::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class CheckSocket : public CheckTest {
 protected:
  void SetUp() override { StartKms(); }
  // All the way to the socket, for everybody.
  void Open() {
    Must(::chmod(dir_.path().c_str(), 0755) == 0 && ::chmod(socket().c_str(), 0666) == 0, "chmod");
  }
};

TEST_F(CheckSocket, BeforeTheFirstStart) {
  const Report report = Check();
  EXPECT_EQ(report.exit_code, 3) << report.text;  // all is well that can be seen
  EXPECT_EQ(report.at("socket.file").outcome, "unknown");
  EXPECT_EQ(report.at("socket.file").line,
            "DIR/kms.sock: No such file or directory; the plugin does not run");
  EXPECT_EQ(report.at("socket.file").mend, "systemctl start okms-k8s-encryption-provider.service");
  EXPECT_EQ(report.at("socket.status").outcome, "skipped");
  EXPECT_EQ(report.at("socket.status").line, "needs socket.file, which could not be seen");
}

TEST_F(CheckSocket, AllIsWell) {
  flags_["--allow-gid"] = absl::StrCat(::getegid());
  StartReady();
  const Report report = Check();
  EXPECT_EQ(report.exit_code, 0) << report.text;
  const group* const ours = ::getgrgid(::getegid());
  const std::string name = ours != nullptr ? ours->gr_name : absl::StrCat(::getegid());
  const std::string members = ::getegid() == 0 ? "" : " and members of group " + name;
  EXPECT_EQ(report.at("socket.access").line, absl::StrCat("DIR/kms.sock: has mode 0660: its owner ",
                                                          ::geteuid(), members, " can connect"));
  EXPECT_EQ(report.at("socket.status").line,
            absl::StrCat("user ", ::geteuid(),
                         ", who asks this, is told that the plugin is ready, with key key-1"));
}

TEST_F(CheckSocket, NobodyListens) {
  ASSERT_THAT(BindUnix(socket()), IsOk());  // and is closed again
  const Report report = Check();
  EXPECT_EQ(report.exit_code, 1);
  EXPECT_EQ(report.at("socket.file").line,
            "DIR/kms.sock: nobody listens: connect: Connection refused");
}

// As many wait as may, of a plugin that takes nobody: that it is there is no fault of the socket's.
TEST_F(CheckSocket, SomebodyListensAndTakesNobody) {
  const UniqueFd listening = Must(BindUnix(socket()));
  ASSERT_EQ(::listen(listening.get(), 0), 0);
  std::vector<UniqueFd> waiting;
  const UnixAddress address = UnixAddress::Of(socket()).value();
  do {
    waiting.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  } while (::connect(waiting.back().get(), address.get(), address.size()) == 0);
  ASSERT_EQ(errno, EAGAIN);
  const Report report = Check();
  EXPECT_EQ(report.exit_code, 1);
  EXPECT_EQ(report.at("socket.file").outcome, "passed");
  EXPECT_EQ(report.at("socket.file").line,
            "DIR/kms.sock: somebody listens, and as many wait already as may");
  EXPECT_EQ(report.at("socket.status").outcome, "failed");
  EXPECT_EQ(report.at("socket.status").mend, "journalctl -u okms-k8s-encryption-provider.service");
}

TEST_F(CheckSocket, CertificatesThatThePluginDoesNotUse) {
  flags_["--status-listen"] = absl::StrCat("unix:", dir_ / "status.sock");
  StartReady();
  EXPECT_EQ(Check().at("socket.certificates").line, "the plugin uses the certificates on disk");
  // A new one without its key, which it does not take.
  const KeyPairFiles other = Must(pki_.Issue(
      "other", {.common_name = "plugin", .valid_from = -7200, .valid_until = 100L * 86400}));
  Write("client.pem", Content(other.certificate));
  const Said said = Check().at("socket.certificates");
  EXPECT_EQ(said.outcome, "warning");
  EXPECT_THAT(said.line, StartsWith("--client-cert DIR/client.pem: is valid from DATE until DATE, "
                                    "and the plugin still uses what is valid from DATE until "
                                    "DATE"));
  EXPECT_EQ(said.mend, "systemctl reload okms-k8s-encryption-provider.service");
}

TEST_F(CheckSocket, NoSocketAtItsPath) {
  Write("kms.sock", "");
  const Report report = Check();
  EXPECT_EQ(report.exit_code, 1);
  EXPECT_EQ(report.at("socket.file").line, "DIR/kms.sock: is no socket");
  EXPECT_EQ(report.at("socket.file").mend, "rm -r DIR/kms.sock");
}

TEST_F(CheckSocket, NotReady) {
  SetFault("refuse=PermissionDenied:Encrypt");
  StartPlugin();
  const Report report = Check();
  EXPECT_EQ(report.exit_code, 1);
  EXPECT_EQ(report.at("socket.status").outcome, "failed");
  EXPECT_EQ(report.at("socket.status").line,
            absl::StrCat("user ", ::geteuid(),
                         ", who asks this, is told that the plugin is not ready: key key-1: KMIP "
                         "Encrypt refused: PermissionDenied: told to"));
}

TEST_F(CheckSocket, MembersOfAGroupThatThePluginTurnsAway) {
  StartReady();
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(socket().c_str(), 0, 65534), 0);
  }
  EXPECT_THAT(Check().at("socket.access").line,
              HasSubstr(", whom the plugin turns away unless --allow-uid or --allow-gid "
                        "names them"));
}

TEST_F(CheckSocket, OpenToAll) {
  StartReady();
  Open();
  const Report report = Check();
  EXPECT_EQ(report.exit_code, 0);
  EXPECT_EQ(report.at("socket.access").outcome, "warning");
  EXPECT_EQ(report.at("socket.access").line,
            "DIR/kms.sock: has mode 0666, so every user can connect, and the plugin alone decides");
}

TEST_F(CheckSocket, ThePluginThatSaysWhyItIsNotReady) {
  StopKms();
  StartPlugin();
  ASSERT_EQ(AwaitStatus(Code::kUnavailable).code(), Code::kUnavailable);
  const Report report = Check();
  EXPECT_EQ(report.at("socket.status").outcome, "failed");
  EXPECT_THAT(report.at("socket.status").line,
              HasSubstr(" is told that the plugin is not ready: 127.0.0.1:PORT: connect: "
                        "Connection refused"));
}

class CheckAsUser : public CheckSocket {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can be somebody else";
    CheckSocket::SetUp();
  }
};

TEST_F(CheckAsUser, WhomTheModeKeepsOut) {
  StartReady();
  ASSERT_EQ(::chmod(dir_.path().c_str(), 0755), 0);
  const Report report = Check({"--as", "nobody"});
  EXPECT_EQ(report.exit_code, 1);
  EXPECT_EQ(report.at("socket.as-user").line,
            "user nobody cannot connect to DIR/kms.sock: connect: Permission denied");
  EXPECT_EQ(report.at("socket.status").outcome, "passed");  // which proves nothing
}

TEST_F(CheckAsUser, WhomAFolderKeepsOut) {
  StartReady();
  Open();
  ASSERT_EQ(::chmod(dir_.path().c_str(), 0700), 0);
  EXPECT_EQ(Check({"--as", "nobody"}).at("socket.as-user").mend, "chmod o+x DIR");
}

TEST_F(CheckAsUser, WhomThePluginTurnsAway) {
  StartReady();
  Open();
  const Report report = Check({"--as", "nobody"});
  EXPECT_EQ(report.exit_code, 1);
  EXPECT_EQ(
      report.at("socket.as-user").line,
      "user nobody connects, and has no answer: the plugin hung up, as it does when this user "
      "may not connect");
}

TEST_F(CheckAsUser, WhomThePluginKnows) {
  flags_["--allow-uid"] = absl::StrCat(::getpwnam("nobody")->pw_uid);
  StartReady();
  Open();
  const Report report = Check({"--as", "nobody"});
  EXPECT_EQ(report.exit_code, 0) << report.text;
  EXPECT_EQ(report.at("socket.as-user").line,
            "user nobody is told that the plugin is ready, with key key-1");
  // By number, and by its group alone.
  flags_["--allow-uid"] = "0";
  EXPECT_EQ(Check({"--as", "4711:4712"}).at("socket.as-user").outcome, "failed");
}

TEST_F(CheckAsUser, UnknownUser) {
  StartReady();
  EXPECT_EQ(Check({"--as", "no-such-user"}).at("socket.as-user").line,
            "user no-such-user is unknown here; give a name, or UID:GID for who has no entry");
}

constexpr char kFile[] =
    R"({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration",
"resources": [{"resources": ["secrets"], "providers": [
  {"kms": {"apiVersion": "v2", "name": "okms", "endpoint": "unix://SOCKET"}},
  {"identity": {}}]}]})";

TEST_F(CheckSocket, ApiserversFile) {
  StartReady();
  const std::string file = Write("config", absl::StrReplaceAll(kFile, {{"SOCKET", socket()}}));
  const Report report = Check({"--encryption-config", file});
  EXPECT_EQ(report.exit_code, 0) << report.text;
  EXPECT_EQ(report.at("encryption-config.endpoint").line,
            "a kms provider has endpoint: unix://DIR/kms.sock");
  flags_["--sock"] = "/run/another.sock";
  const Report other = Check({"--encryption-config", file});
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_EQ(other.at("encryption-config.endpoint").line,
            "DIR/config:3: kms okms: its endpoint is unix://DIR/kms.sock, and the plugin's socket "
            "is /run/another.sock; write endpoint: unix:///run/another.sock");
}

TEST_F(CheckSocket, ApiserversFileWithAMisplacedKey) {
  // Nobody is asked: there are no certificates.
  const std::string variables =
      Write("environment", absl::StrCat("OKMS_PROTOCOL=kmip\nOKMS_SERV_ADDR=127.0.0.1:1\n"
                                        "OKMS_KEY_ID=key\nOKMS_CLIENT_CERT=/nonexistent\n"
                                        "OKMS_CLIENT_KEY=/nonexistent\nOKMS_SOCK=",
                                        socket(), "\n"));
  for (const MisplacedKey& row : MisplacedKeys()) {
    const std::string file = Write("config", FilesOf(row).front());
    for (const char* const output : {"text", "json"}) {
      const Ended ended =
          Ctl({"check", "--env-file", variables, "--encryption-config", file, "-o", output});
      EXPECT_EQ(ended.exit_status, 1) << row.name;
      ExpectNoKey(ended.out);
      ExpectNoKey(ended.err);
      EXPECT_THAT(ended.out, HasSubstr("encryption-config.file"));
    }
  }
}

}  // namespace
}  // namespace okms::test
