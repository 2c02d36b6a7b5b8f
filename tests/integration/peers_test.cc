// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Who may connect, by the credentials of the peer: not by the file's mode, which is opened for all
// here.

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "integration/http2.h"
#include "integration/plugin_test.h"
#include "integration/unix_socket.h"

namespace okms::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr uid_t kStranger = 65534;
constexpr gid_t kTheirGroup = 65533;

class PeersTest : public PluginTest {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can be somebody else";
    StartKms();
  }

  // Starts the plugin, and lets everyone reach the socket.
  void StartOpen(ChildOptions options = {}) {
    ASSERT_EQ(::chmod(dir_.path().c_str(), 0777), 0);
    StartPlugin(std::move(options));
    ASSERT_EQ(::chmod(socket().c_str(), 0666), 0);
    ASSERT_THAT(AwaitStatus(Code::kOk), IsOk());
  }

  // What such a user hears in answer to a Status call.
  Heard CallAs(uid_t uid, gid_t gid, const std::vector<gid_t>& groups = {}) {
    const UniqueFd connection = Must(ConnectUnixAs(socket(), uid, gid, groups));
    return Exchange(connection.get(), Http2Call("Status", "localhost", ""), Http2Ended);
  }
  void ExpectServed(const Heard& heard) {
    const std::optional<std::string> message = Http2Message(heard.bytes);
    ASSERT_TRUE(message.has_value());
    EXPECT_THAT(*message, HasSubstr("key-1"));
  }
  void ExpectTurnedAway(const Heard& heard) {
    EXPECT_TRUE(heard.closed);
    EXPECT_EQ(heard.bytes, "");
  }
  std::vector<std::string> Refusals() {
    std::vector<std::string> lines;
    for (const std::string& line : plugin().ErrLines()) {
      if (line.find("refused a connection") != std::string::npos) lines.push_back(line);
    }
    return lines;
  }
};

TEST_F(PeersTest, AStrangerHearsNothing) {
  StartOpen();
  for (int i = 0; i < 5; ++i) {
    ExpectTurnedAway(CallAs(kStranger, kTheirGroup));
    ExpectRoundTrip();
  }
  ExpectRoundTrip(*NewClient());
  // One line, however often a stranger knocks.
  EXPECT_THAT(Refusals(), ElementsAre(absl::StrCat(
                              "warning: refused a connection of user 65534, process ", ::getpid(),
                              ": only root, our own user and those of --allow-uid and "
                              "--allow-gid may connect")));
}

// Started without a user of its own, as the Go plugin's unit or command line does.
TEST_F(PeersTest, ABorrowedIdIsNotTrusted) {
  if (::getpwnam("okms-kms") != nullptr) GTEST_SKIP() << "this machine has the user okms-kms";
  ChildOptions options;
  options.argv = Argv();
  options.argv.insert(options.argv.end(), {"--user", ""});
  StartOpen(std::move(options));
  EXPECT_TRUE(plugin().WaitForLine("notice: there is no user okms-kms: running as the free id "));
  const auto uid = static_cast<uid_t>(std::stoul(plugin().ProcStatus("Uid")));
  EXPECT_GE(uid, 61184U);
  EXPECT_LE(uid, 65519U);
  ExpectTurnedAway(CallAs(uid, uid));
  ExpectServed(CallAs(0, 0));
  ExpectRoundTrip();
}

TEST_F(PeersTest, AGroupOfTheFileIsNotEnough) {
  flags_["--sock-group"] = absl::StrCat(kTheirGroup);
  StartOpen();
  ExpectTurnedAway(CallAs(kStranger, kTheirGroup));
}

TEST_F(PeersTest, AnAllowedUserIsServed) {
  for (const std::string user : {"65534", "nobody"}) {
    SCOPED_TRACE(user);
    flags_["--allow-uid"] = user;
    StartOpen();
    ExpectServed(CallAs(kStranger, kTheirGroup));
    ExpectTurnedAway(CallAs(kStranger - 1, kTheirGroup));
    ASSERT_EQ(StopPlugin(), 0);
  }
}

TEST_F(PeersTest, SeveralAllowedUsers) {
  std::vector<std::string> argv = Argv();
  for (const char* const argument : {"--allow-uid", "1234", "--allow-uid=5678"}) {
    argv.push_back(argument);
  }
  ChildOptions options;
  options.argv = argv;
  StartOpen(std::move(options));
  ExpectServed(CallAs(1234, 1234));
  ExpectServed(CallAs(5678, 5678));
  ExpectTurnedAway(CallAs(1, 1));
}

TEST_F(PeersTest, AnAllowedGroupIsServed) {
  flags_["--allow-gid"] = absl::StrCat(kTheirGroup);
  StartOpen();
  ExpectServed(CallAs(kStranger, kTheirGroup));
  ExpectServed(CallAs(kStranger, 1, {2, 3, kTheirGroup}));
  std::vector<gid_t> many;
  for (gid_t group = 1; group < 200; ++group) many.push_back(group);
  ExpectTurnedAway(CallAs(kStranger, 1, many));
  many.push_back(kTheirGroup);
  ExpectServed(CallAs(kStranger, 1, many));
  ExpectTurnedAway(CallAs(kStranger, 1));
}

TEST_F(PeersTest, ByDefaultRootAndItsOwnUser) {
  // The plugin as a user of its own, which can read its files.
  constexpr uid_t kOwnUser = 12345;
  for (const std::string& path : {client_pair_.key, client_pair_.certificate, pki_.ca()}) {
    ASSERT_EQ(::chown(path.c_str(), kOwnUser, kOwnUser), 0);
  }
  ChildOptions options;
  options.uid = kOwnUser;
  StartOpen(std::move(options));
  ASSERT_THAT(std::vector<std::string>(absl::StrSplit(plugin().ProcStatus("Uid"), '\t')),
              ElementsAre("12345", "12345", "12345", "12345"));
  ExpectRoundTrip();  // as root
  ExpectServed(CallAs(kOwnUser, 1));
  ExpectTurnedAway(CallAs(kStranger, kOwnUser));
}

}  // namespace
}  // namespace okms::test
