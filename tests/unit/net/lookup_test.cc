// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/lookup.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "support/dns_server.h"
#include "support/status_is.h"
#include "support/temp_dir.h"

namespace okms {
namespace {

using namespace std::chrono_literals;
using test::DnsServer;
using test::IsOk;
using test::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;
using Code = absl::StatusCode;
using Mode = DnsServer::Mode;

void Wait(const Lookup& lookup) {
  std::vector<pollfd> descriptors = lookup.Descriptors();
  ::poll(descriptors.data(), descriptors.size(), PollTimeout(lookup.NextTime()));
}

Lookup::Result Finish(Lookup& lookup) {
  while (!lookup.done()) {
    Wait(lookup);
    lookup.Process();
  }
  return lookup.result();
}

Lookup::Result LookUp(const std::string& host, const std::string& name_servers) {
  Lookup lookup({host, 5696}, name_servers);
  return Finish(lookup);
}

std::vector<std::string> Texts(const Lookup::Result& result) {
  std::vector<std::string> texts;
  if (!result.ok()) return {result.status().ToString()};
  for (const Address& address : *result) texts.push_back(address.ToString());
  return texts;
}

class LookupTest : public ::testing::Test {
 protected:
  LookupTest() { server_.Set("kms.example", {"127.0.0.7"}); }

  DnsServer server_;
};

TEST_F(LookupTest, GivesTheAddress) {
  EXPECT_THAT(Texts(LookUp("kms.example", server_.HostPort())), ElementsAre("127.0.0.7"));
  EXPECT_EQ(server_.questions(), 2);  // both families
}

TEST_F(LookupTest, AddressesCarryThePort) {
  server_.Set("kms.example", {"127.0.0.7", "::1"});
  const auto result = LookUp("kms.example", server_.HostPort());
  ASSERT_THAT(result, IsOk());
  ASSERT_EQ(result->size(), 2U);
  for (const Address& address : *result) {
    in_port_t port = 0;  // at the same place in both families
    std::memcpy(&port, reinterpret_cast<const char*>(&address.storage) + sizeof(sa_family_t),
                sizeof port);
    EXPECT_EQ(ntohs(port), 5696) << address.ToString();
  }
}

TEST_F(LookupTest, BothFamilies) {
  server_.Set("kms.example", {"127.0.0.7", "127.0.0.8", "::1"});
  EXPECT_THAT(Texts(LookUp("kms.example", server_.HostPort())),
              UnorderedElementsAre("127.0.0.7", "127.0.0.8", "::1"));
}

TEST_F(LookupTest, Ipv6Only) {
  server_.Set("kms.example", {"::1"});
  EXPECT_THAT(Texts(LookUp("kms.example", server_.HostPort())), ElementsAre("::1"));
}

// RFC 6724 rule 1: what cannot be reached comes last. Nobody has a route to class E.
TEST_F(LookupTest, UnreachableAddressesComeLast) {
  server_.Set("kms.example", {"240.0.0.1", "127.0.0.7"});
  const auto texts = Texts(LookUp("kms.example", server_.HostPort()));
  ASSERT_THAT(texts, UnorderedElementsAre("240.0.0.1", "127.0.0.7"));
  EXPECT_EQ(texts.front(), "127.0.0.7");
}

TEST_F(LookupTest, NameThatDoesNotExist) {
  EXPECT_THAT(LookUp("other.example", server_.HostPort()),
              StatusIs(Code::kUnavailable, "cannot resolve other.example: Domain name not found"));
}

TEST_F(LookupTest, NameWithoutAddresses) {
  server_.Set("kms.example", {});
  EXPECT_THAT(LookUp("kms.example", server_.HostPort()),
              StatusIs(Code::kUnavailable, StartsWith("cannot resolve kms.example: ")));
}

TEST_F(LookupTest, NameThatIsNone) {
  for (const std::string& name : {std::string(300, 'a'), std::string("a..example")}) {
    EXPECT_THAT(LookUp(name, server_.HostPort()),
                StatusIs(Code::kUnavailable, StartsWith(absl::StrCat("cannot resolve ", name))));
  }
}

TEST_F(LookupTest, NameServerThatFails) {
  server_.SetMode(Mode::kFail);
  EXPECT_THAT(LookUp("kms.example", server_.HostPort()),
              StatusIs(Code::kUnavailable, StartsWith("cannot resolve kms.example: ")));
}

TEST_F(LookupTest, NobodyThere) {
  std::string nobody;
  { nobody = DnsServer().HostPort(); }
  const auto begin = Clock::now();
  EXPECT_THAT(
      LookUp("kms.example", nobody),
      StatusIs(Code::kUnavailable, "cannot resolve kms.example: Could not contact DNS servers"));
  EXPECT_LT(Clock::now() - begin, 1s);  // told by the refusal, not by the time
}

TEST_F(LookupTest, SilentNameServerEndsByItself) {
  server_.SetMode(Mode::kSilent);
  EXPECT_THAT(LookUp("kms.example", server_.HostPort()),
              StatusIs(Code::kUnavailable,
                       "cannot resolve kms.example: Timeout while contacting DNS servers"));
}

TEST_F(LookupTest, NextNameServerIsAskedInTime) {
  DnsServer silent;
  silent.SetMode(Mode::kSilent);
  const auto begin = Clock::now();
  EXPECT_THAT(
      Texts(LookUp("kms.example", absl::StrCat(silent.HostPort(), ",", server_.HostPort()))),
      ElementsAre("127.0.0.7"));
  EXPECT_LT(Clock::now() - begin, 1500ms);
  EXPECT_GT(silent.questions(), 0);
}

TEST_F(LookupTest, NextNameServerIsAskedWhenOneFails) {
  DnsServer failing;
  failing.SetMode(Mode::kFail);
  EXPECT_THAT(
      Texts(LookUp("kms.example", absl::StrCat(failing.HostPort(), ",", server_.HostPort()))),
      ElementsAre("127.0.0.7"));
}

TEST_F(LookupTest, AnswerThatIsTooLongComesOverTcp) {
  server_.SetMode(Mode::kTruncate);
  EXPECT_THAT(Texts(LookUp("kms.example", server_.HostPort())), ElementsAre("127.0.0.7"));
}

TEST_F(LookupTest, OfManyAddressesTheFirstAreUsed) {
  std::vector<std::string> addresses;
  for (int i = 1; i <= 120; ++i) addresses.push_back(absl::StrCat("127.0.1.", i));
  server_.Set("kms.example", addresses);
  for (const Mode mode : {Mode::kAnswer, Mode::kTruncate}) {
    server_.SetMode(mode);
    const std::vector<std::string> used = Texts(LookUp("kms.example", server_.HostPort()));
    EXPECT_EQ(used, std::vector(addresses.begin(), addresses.begin() + 16));
  }
}

TEST_F(LookupTest, Ipv4ServesWhenNobodyAnswersForIpv6) {
  server_.SetMode(Mode::kSilent6);
  EXPECT_THAT(Texts(LookUp("kms.example", server_.HostPort())), ElementsAre("127.0.0.7"));
}

TEST_F(LookupTest, HostsFileComesFirst) {
  EXPECT_THAT(Texts(LookUp("localhost", server_.HostPort())), ::testing::Contains("127.0.0.1"));
  EXPECT_EQ(server_.questions(), 0);
}

// ---- The domains of resolv.conf

class SearchTest : public LookupTest {
 protected:
  Lookup::Result Search(const std::string& host, const std::string& resolv_conf) {
    const std::string path = directory_ / "resolv.conf";
    std::ofstream(path) << resolv_conf;
    Lookup lookup({host, 5696}, server_.HostPort(), path);
    return Finish(lookup);
  }

  test::TempDir directory_;
};

TEST_F(SearchTest, RootIsNoDomain) {
  for (const char* search :
       {"search .\n", "search cluster.local .\n", "search . cluster.local\n"}) {
    EXPECT_THAT(Texts(Search("kms.example", absl::StrCat(search, "options ndots:5\n"))),
                ElementsAre("127.0.0.7"))
        << search;
  }
}

TEST_F(SearchTest, DomainWhoseServerFailsEndsNothing) {
  server_.FailIn("cluster.local");
  EXPECT_THAT(Texts(Search("kms.example", "search cluster.local\noptions ndots:5\n")),
              ElementsAre("127.0.0.7"));
  server_.Set("kms.lan.example", {"127.0.0.8"});
  EXPECT_THAT(Texts(Search("kms", "search cluster.local lan.example\n")), ElementsAre("127.0.0.8"));
}

TEST_F(SearchTest, NameInADomainComesFirstWhenTheNameHasFewDots) {
  server_.Set("kms.example.lan", {"127.0.0.8"});
  EXPECT_THAT(Texts(Search("kms.example", "search lan\noptions ndots:2\n")),
              ElementsAre("127.0.0.8"));
  EXPECT_THAT(Texts(Search("kms.example", "search lan\n")), ElementsAre("127.0.0.7"));
}

TEST_F(SearchTest, AbsoluteNameIsAskedForAsItIs) {
  server_.Set("kms.example.lan", {"127.0.0.8"});
  EXPECT_THAT(Texts(Search("kms.example.", "search lan\noptions ndots:5\n")),
              ElementsAre("127.0.0.7"));
  EXPECT_EQ(server_.questions(), 2);
}

TEST_F(SearchTest, HostsFileComesBeforeTheDomains) {
  server_.Set("localhost.lan", {"127.0.0.8"});
  for (const char* name : {"localhost", "localhost."}) {
    EXPECT_THAT(Texts(Search(name, "search lan\n")), ::testing::Contains("127.0.0.1"));
  }
  EXPECT_EQ(server_.questions(), 0);
}

TEST_F(SearchTest, FailureOfAServerIsTheReasonRatherThanWhatIsNotThere) {
  server_.FailIn("cluster.local");
  EXPECT_THAT(
      Search("kms", "search cluster.local lan\n"),
      StatusIs(Code::kUnavailable, ::testing::AllOf(StartsWith("cannot resolve kms: "),
                                                    Not(::testing::HasSubstr("not found")))));
  EXPECT_THAT(Search("kms", "search lan\n"),
              StatusIs(Code::kUnavailable, "cannot resolve kms: Domain name not found"));
}

TEST_F(LookupTest, NothingBlocks) {
  server_.SetMode(Mode::kSilent);
  const auto begin = Clock::now();
  Lookup lookup({"kms.example", 5696}, server_.HostPort());
  lookup.Process();
  EXPECT_FALSE(lookup.done());
  EXPECT_THAT(lookup.Descriptors(), Not(IsEmpty()));
  const auto next = lookup.NextTime();
  EXPECT_LT(Clock::now() - begin, 500ms);
  EXPECT_GT(next, begin);
  EXPECT_LT(next, begin + 1500ms);
}

TEST_F(LookupTest, DescriptorsAreClosedByExecAndAtTheEnd) {
  std::vector<pollfd> descriptors;
  {
    server_.SetMode(Mode::kSilent);
    const Lookup lookup({"kms.example", 5696}, server_.HostPort());
    descriptors = lookup.Descriptors();
    ASSERT_THAT(descriptors, Not(IsEmpty()));
    for (const pollfd& entry : descriptors) {
      EXPECT_EQ(::fcntl(entry.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
      EXPECT_EQ(::fcntl(entry.fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    }
  }
  for (const pollfd& entry : descriptors) EXPECT_EQ(::fcntl(entry.fd, F_GETFD), -1);
}

TEST_F(LookupTest, NothingIsOpenOnceItIsDone) {
  Lookup lookup({"kms.example", 5696}, server_.HostPort());
  const std::vector<pollfd> descriptors = lookup.Descriptors();
  ASSERT_THAT(Finish(lookup), IsOk());
  EXPECT_THAT(lookup.Descriptors(), IsEmpty());
  for (const pollfd& entry : descriptors) EXPECT_EQ(::fcntl(entry.fd, F_GETFD), -1);
}

TEST(ResolverFiles, AreAbsoluteAndSayWhy) {
  std::set<std::string> paths;
  for (const ResolverFile& file : ResolverFiles()) {
    EXPECT_TRUE(std::filesystem::path(file.path).is_absolute()) << file.path;
    EXPECT_STRNE(file.why, "") << file.path;
    EXPECT_TRUE(paths.insert(file.path).second) << file.path;
  }
  EXPECT_TRUE(paths.contains("/etc/resolv.conf"));
  EXPECT_TRUE(paths.contains("/etc/hosts"));
}

}  // namespace
}  // namespace okms
