// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "sandbox/privileges.h"

#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "sandbox/free_id.h"
#include "support/refuse_call.h"
#include "support/status_is.h"
#include "unit/sandbox/child.h"

namespace okms::sandbox {
namespace {

using test::ExpectInChild;
using test::IsOk;
using test::kTestUser;
using test::kTestUserText;
using test::RefuseCall;
using test::StatusIs;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr auto kFailedPrecondition = absl::StatusCode::kFailedPrecondition;
constexpr char kNone[] = "0000000000000000";

// The fields of /proc/self/status.
std::map<std::string, std::string> Status() {
  std::map<std::string, std::string> fields;
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 1));
    fields[parts[0]] = std::string(absl::StripAsciiWhitespace(parts[1]));
  }
  return fields;
}

void ExpectIds(const std::string& field, unsigned id) {
  const std::vector<std::string> ids = absl::StrSplit(Status()[field], '\t');
  EXPECT_THAT(ids, SizeIs(4));  // real, effective, saved, of the file system
  EXPECT_THAT(ids, Each(absl::StrCat(id)));
}

void ExpectNoCapabilities() {
  for (const char* const field : {"CapInh", "CapPrm", "CapEff", "CapAmb"}) {
    EXPECT_EQ(Status()[field], kNone) << field;
  }
}

// The capabilities of this thread, as capset(2) takes them.
void SetCapabilities(uint64_t effective_and_permitted, uint64_t inheritable) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
  for (unsigned i = 0; i < 2; ++i) {
    data[i].effective = static_cast<uint32_t>(effective_and_permitted >> 32 * i);
    data[i].permitted = data[i].effective;
    data[i].inheritable = static_cast<uint32_t>(inheritable >> 32 * i);
  }
  ASSERT_EQ(::syscall(SYS_capset, &header, data.data()), 0);
}

uint64_t Permitted() { return std::stoull(Status()["CapPrm"], nullptr, 16); }
uint64_t Bit(unsigned capability) { return uint64_t{1} << capability; }

void BecomeUser(unsigned id) {
  ASSERT_EQ(::setgroups(0, nullptr), 0);
  ASSERT_EQ(::setresgid(id, id, id), 0);
  ASSERT_EQ(::setresuid(id, id, id), 0);
}

class PrivilegesOfRoot : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root has rights to drop";
  }
};

TEST_F(PrivilegesOfRoot, AreAllGone) {
  ExpectInChild([] {
    const std::array<gid_t, 3> groups = {0, 4, 27};
    ASSERT_EQ(::setgroups(groups.size(), groups.data()), 0);
    // In all five sets, also those that only matter to programs that are run later.
    SetCapabilities(Permitted(), Permitted());
    ASSERT_EQ(::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0), 0);

    ASSERT_THAT(DropPrivileges(kTestUserText), IsOk());
    ExpectIds("Uid", kTestUser);
    ExpectIds("Gid", kTestUser);
    EXPECT_EQ(Status()["Groups"], "");
    ExpectNoCapabilities();
    EXPECT_EQ(Status()["CapBnd"], kNone);
  });
}

TEST_F(PrivilegesOfRoot, DoNotComeBack) {
  ExpectInChild([] {
    ASSERT_THAT(DropPrivileges(kTestUserText), IsOk());
    EXPECT_EQ(::setresuid(0, 0, 0), -1);
    EXPECT_EQ(errno, EPERM);
    EXPECT_EQ(::setresgid(0, 0, 0), -1);
    EXPECT_EQ(::setgroups(0, nullptr), -1);
    // Neither by a program that runs as root.
    const int locked = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                       SECBIT_NO_SETUID_FIXUP_LOCKED;
    EXPECT_EQ(::prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) & locked, locked);
  });
}

TEST_F(PrivilegesOfRoot, GroupMayDifferFromTheUser) {
  ExpectInChild([] {
    ASSERT_THAT(DropPrivileges("47000:47001"), IsOk());
    ExpectIds("Uid", 47000);
    ExpectIds("Gid", 47001);
  });
}

TEST_F(PrivilegesOfRoot, UserByNameOrNumberHasItsOwnGroup) {
  for (const std::string user : {"nobody", "65534"}) {
    ExpectInChild([&] {
      ASSERT_THAT(DropPrivileges(user), IsOk());
      ExpectIds("Uid", 65534);
      ExpectIds("Gid", 65534);
    });
  }
}

TEST_F(PrivilegesOfRoot, NobodyElseToBecomeIsAnError) {
  const std::map<std::string, std::string> lines = {
      {"okms-no-such-user",
       "--user okms-no-such-user: no such user, and the plugin does not stay root; create it "
       "(useradd --system okms-no-such-user), or name another"},
      {"47000", "--user 47000: no such user; name its group too, as 47000:GROUP"},
      {"root", "--user root: is root; name an unprivileged user"},
      {"0", "--user 0: is root; name an unprivileged user"},
      {"0:0", "--user 0:0: is root; name an unprivileged user"},
      {"0:47000", "--user 0:47000: is root; name an unprivileged user"},
      {"47000:0", "--user 47000:0: is root; name an unprivileged user"},
  };
  for (const auto& [user, line] : lines) {
    EXPECT_THAT(CheckUser(user), StatusIs(kFailedPrecondition, line));
    ExpectInChild([&, &user = user, &line = line] {
      EXPECT_THAT(DropPrivileges(user), StatusIs(kFailedPrecondition, line));
    });
  }
  for (const std::string user : {"1:2:3", "-1:5", "1:", ":1", "a\nb"}) {
    EXPECT_THAT(CheckUser(user), StatusIs(kFailedPrecondition, HasSubstr(": no such user")));
  }
}

// On a machine without the user that packages make: by an id that is nobody's.
TEST_F(PrivilegesOfRoot, WithoutTheDefaultUserAFreeIdServes) {
  if (::getpwnam(kDefaultUser) != nullptr) GTEST_SKIP() << "this machine has " << kDefaultUser;
  EXPECT_THAT(CheckUser(""), IsOk());
  EXPECT_THAT(CheckUser(kDefaultUser), StatusIs(kFailedPrecondition, HasSubstr("no such user")));
  ExpectInChild([] {
    const auto account = DropPrivileges("");
    ASSERT_THAT(account, IsOk());
    EXPECT_TRUE(account->borrowed);
    EXPECT_FALSE(IsTaken(account->uid));
    ExpectIds("Uid", account->uid);
    ExpectIds("Gid", account->uid);
    ExpectNoCapabilities();
  });
}

TEST_F(PrivilegesOfRoot, MinusOneIsNoUser) {  // to setresuid(2) it means: no change
  ExpectInChild([] {
    EXPECT_THAT(DropPrivileges("4294967295:4294967295"),
                StatusIs(kFailedPrecondition, ::testing::_));
  });
}

TEST_F(PrivilegesOfRoot, WithoutCapSetpcapTheyCannotBeDropped) {
  ExpectInChild([] {
    SetCapabilities(Permitted() & ~Bit(CAP_SETPCAP), 0);
    EXPECT_THAT(DropPrivileges(kTestUserText),
                StatusIs(kFailedPrecondition,
                         "cannot lock the capabilities: CAP_SETPCAP is missing; or start it as "
                         "that user (User= in a unit)"));
  });
}

TEST_F(PrivilegesOfRoot, WithoutCapSetuidTheyCannotBeDropped) {
  const std::map<unsigned, std::string> lines = {
      {CAP_SETUID, "cannot drop root's rights: setresuid: Operation not permitted"},
      {CAP_SETGID, "cannot drop root's rights: setgroups: Operation not permitted"}};
  for (const auto& [capability, line] : lines) {
    ExpectInChild([&, capability = capability, &line = line] {
      SetCapabilities(Permitted() & ~Bit(capability), 0);
      EXPECT_THAT(DropPrivileges(kTestUserText), StatusIs(kFailedPrecondition, line));
    });
  }
}

TEST_F(PrivilegesOfRoot, AreReadBack) {
  struct Lie {
    std::string call;
    std::string line;
  };
  const std::vector<Lie> lies = {
      {"setresuid", "the change of user had no effect"},
      {"setresgid", "the change of user had no effect"},
      {"setgroups", "supplementary groups are left"},
      {"capset", "capabilities are left"},
      {absl::StrCat("prctl:0=", PR_CAPBSET_DROP), "capabilities are left"},
  };
  for (const auto& [call, line] : lies) {
    SCOPED_TRACE(call);
    ExpectInChild([&, &call = call, &line = line] {
      const std::array<gid_t, 1> groups = {4};
      ASSERT_EQ(::setgroups(groups.size(), groups.data()), 0);
      ASSERT_THAT(RefuseCall(call, 0), IsOk());
      EXPECT_THAT(DropPrivileges(kTestUserText), StatusIs(kFailedPrecondition, line));
    });
  }
}

TEST_F(PrivilegesOfRoot, CapabilitiesThatCannotBeGivenUpAreAnError) {
  ExpectInChild([] {
    ASSERT_THAT(RefuseCall("capset", EPERM), IsOk());
    EXPECT_THAT(DropPrivileges(kTestUserText),
                StatusIs(kFailedPrecondition, "cannot give up capabilities"));
  });
}

// As a unit with User= and AmbientCapabilities= would start it.
TEST_F(PrivilegesOfRoot, AnUnprivilegedUserLosesCapabilitiesToo) {
  for (const std::string user : {"", "47000:47000"}) {
    ExpectInChild([&] {
      ASSERT_EQ(::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), 0);
      BecomeUser(kTestUser);
      SetCapabilities(Bit(CAP_NET_RAW), Bit(CAP_NET_RAW));
      ASSERT_EQ(::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0), 0);
      ASSERT_THAT(DropPrivileges(user), IsOk());
      ExpectNoCapabilities();
      ExpectIds("Uid", kTestUser);
    });
  }
}

TEST_F(PrivilegesOfRoot, AnUnprivilegedUserBecomesNobodyElse) {
  ExpectInChild([] {
    BecomeUser(kTestUser);
    for (const std::string user : {"nobody", "0:0", "47001:47000"}) {
      const std::string line =
          absl::StrCat("--user ", user,
                       ": only root can become another user, and this is user 47000; or start "
                       "it as that user (User= in a unit)");
      EXPECT_THAT(CheckUser(user), StatusIs(kFailedPrecondition, line));
      EXPECT_THAT(DropPrivileges(user), StatusIs(kFailedPrecondition, line));
    }
    EXPECT_THAT(DropPrivileges("okms-no-such-user"),
                StatusIs(kFailedPrecondition, HasSubstr("no such user")));
  });
}

TEST_F(PrivilegesOfRoot, WithoutCapabilitiesNothingIsAsked) {
  ExpectInChild([] {
    BecomeUser(kTestUser);
    ASSERT_EQ(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ASSERT_THAT(RefuseCall("capset", EPERM), IsOk());
    EXPECT_THAT(DropPrivileges(""), IsOk());
    ExpectNoCapabilities();
  });
}

TEST(Privileges, OfAnybodyElseStayWhatTheyAre) {
  ExpectInChild([] {
    if (::geteuid() == 0) BecomeUser(kTestUser);
    const unsigned before = ::geteuid();
    EXPECT_THAT(CheckUser(""), IsOk());
    ASSERT_THAT(DropPrivileges(""), IsOk());
    ExpectIds("Uid", before);
    ExpectNoCapabilities();
  });
}

}  // namespace
}  // namespace okms::sandbox
