// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The KMS's name while the plugin runs: it gets other addresses, and name servers come and go.

#include <sys/mount.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>

#include "integration/private_machine.h"
#include "integration/rest_plugin_test.h"
#include "support/dns_server.h"
#include "support/require.h"

namespace okms::test {
namespace {

using testing::HasSubstr;

constexpr char kName[] = "kms.test";
constexpr char kHere[] = "127.0.0.1";
constexpr char kThere[] = "127.0.0.2";
constexpr char kNameServer[] = "127.0.0.53";
constexpr uint16_t kDnsPort = 53;

// Until its end, /etc is another directory, with the same files.
class OtherEtc {
 public:
  OtherEtc() {
    Must(::mount("tmpfs", copy_.path().c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") == 0 &&
             std::system(absl::StrCat("cp -a /etc/. ", copy_.path()).c_str()) == 0 &&
             ::mount(copy_.path().c_str(), "/etc", nullptr, MS_MOVE, nullptr) == 0,
         "no other /etc");
  }
  ~OtherEtc() { ::umount2("/etc", MNT_DETACH); }

 private:
  TempDir copy_;
};

struct Machine {
  PrivateMachine machine_;  // a base, so that it comes before the test's sockets
};

class ResolverTest : private Machine,
                     public RestPluginTest,
                     public testing::WithParamInterface<bool> {
 protected:
  ResolverTest() {
    server_pair_ = Must(
        pki_.Issue("named", {.common_name = "kms", .names = {"DNS:kms.test"}, .for_server = true}));
    if (!rest()) {
      flags_["--protocol"] = "kmip";
      flags_["--encryption-key-id"] = key_.id;
    }
    flags_["--serv-addr"] = absl::StrCat(rest() ? "https://" : "", kName, ":", port());
  }
  void SetUp() override {
    OKMS_REQUIRE_OR_SKIP(machine_.missing().empty(), machine_.missing());
    SetHosts("");
    PrivateMachine::Replace("/etc/resolv.conf", absl::StrCat("nameserver ", kNameServer, "\n"));
  }

  static bool rest() { return GetParam(); }
  static void SetHosts(const std::string& lines) {
    PrivateMachine::Replace("/etc/hosts", absl::StrCat("127.0.0.1 localhost\n", lines));
  }
  void StartDns(const std::string& address) {
    dns_ = std::make_unique<DnsServer>(kNameServer, kDnsPort);
    dns_->Set(kName, {address});
  }
  // Starts it there, instead of where it may be now.
  void StartAt(const std::string& address) {
    kms_address_ = address;
    if (rest()) {
      if (started_) StopOkms();
      StartOkms();
    } else {
      if (started_) StopKms();
      StartKms();
    }
    started_ = true;
  }
  int Connections() { return rest() ? okms().connections() : kms().connections(); }
  void AwaitRoundTrip() {
    EXPECT_TRUE(WaitUntil([&] { return client().Encrypt(NewPlaintext()).ok(); }));
    ExpectRoundTrip();
  }

  std::unique_ptr<DnsServer> dns_;

 private:
  bool started_ = false;
};

INSTANTIATE_TEST_SUITE_P(, ResolverTest, testing::Bool(),
                         [](const auto& test) { return test.param ? "Rest" : "Kmip"; });

TEST_P(ResolverTest, AddressChangesInDns) {
  StartDns(kHere);
  StartAt(kHere);
  StartReady();
  ExpectRoundTrip();
  dns_->Set(kName, {kThere});
  StartAt(kThere);
  AwaitRoundTrip();
  EXPECT_GT(Connections(), 0);
}

TEST_P(ResolverTest, AddressChangesInTheHostsFile) {
  SetHosts("127.0.0.1 kms.test\n");
  StartAt(kHere);
  StartReady();
  ExpectRoundTrip();
  SetHosts("127.0.0.2 kms.test\n");
  StartAt(kThere);
  AwaitRoundTrip();
  EXPECT_GT(Connections(), 0);
}

// As in a pod with a search list from elsewhere; and a domain whose name servers are broken.
TEST_P(ResolverTest, SearchDomainsLeadNowhere) {
  StartDns(kHere);
  dns_->FailIn("cluster.local");
  StartAt(kHere);
  for (const char* search : {".", "cluster.local .", "cluster.local"}) {
    PrivateMachine::Replace(
        "/etc/resolv.conf",
        absl::StrCat("nameserver ", kNameServer, "\nsearch ", search, "\noptions ndots:5\n"));
    StartReady();
    ExpectRoundTrip();
    EXPECT_EQ(StopPlugin(), 0);
  }
}

// A forged answer, for one. To sort as many as that, glibc asks how much memory there is.
TEST_P(ResolverTest, AnswersWithManyAddresses) {
  std::vector<std::string> addresses{kHere};
  for (int i = 1; i <= 120; ++i) addresses.push_back(absl::StrCat("127.0.1.", i));
  for (const auto mode : {DnsServer::Mode::kAnswer, DnsServer::Mode::kTruncate}) {
    StartDns(kHere);
    dns_->Set(kName, addresses);
    dns_->SetMode(mode);
    StartAt(kHere);
    StartReady();
    ExpectRoundTrip();
    EXPECT_EQ(StopPlugin(), 0);
    dns_.reset();
  }
}

// As a new generation of a system may do, or a resolver that is installed meanwhile.
TEST_P(ResolverTest, EtcIsReplaced) {
  StartDns(kHere);
  StartAt(kHere);
  StartReady();
  ExpectRoundTrip();
  {
    const OtherEtc other;
    EXPECT_EQ(plugin().Wait(), 1);
    EXPECT_THAT(plugin().Err(), HasSubstr(": out of the sandbox's reach: this machine's /etc"));
    StopPlugin();
    StartReady();  // anew
    ExpectRoundTrip();
    EXPECT_EQ(StopPlugin(), 0);
  }
}

TEST_P(ResolverTest, NameServerIsKnownLater) {
  for (const bool empty : {false, true}) {
    if (empty) {
      PrivateMachine::Replace("/etc/resolv.conf", "");
    } else {
      std::filesystem::remove("/etc/resolv.conf");
    }
    StartDns(kHere);
    StartAt(kHere);
    StartPlugin();
    EXPECT_THAT(client().Status(),
                StatusIs(Code::kUnavailable, HasSubstr("cannot resolve kms.test: ")));
    EXPECT_TRUE(plugin().WaitForLine("cannot resolve kms.test: "));
    PrivateMachine::Replace("/etc/resolv.conf", absl::StrCat("nameserver ", kNameServer, "\n"));
    EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
    ExpectRoundTrip();
    EXPECT_EQ(StopPlugin(), 0);
    dns_.reset();
  }
}

TEST_P(ResolverTest, NameServerComesLater) {
  StartAt(kHere);
  StartPlugin();
  EXPECT_THAT(client().Status(),
              StatusIs(Code::kUnavailable, HasSubstr("cannot resolve kms.test: ")));
  StartDns(kHere);
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
  ExpectRoundTrip();
}

TEST_P(ResolverTest, LastGoodAnswerServesWhileTheNameServerIsAway) {
  StartDns(kHere);
  StartAt(kHere);
  StartReady();
  ExpectRoundTrip();
  dns_.reset();
  StartAt(kHere);  // so that new connections are needed
  AwaitRoundTrip();
  EXPECT_GT(Connections(), 0);
}

TEST_P(ResolverTest, LastGoodAnswerServesWhileTheNameServerIsSilent) {
  StartDns(kHere);
  StartAt(kHere);
  StartReady();
  ExpectRoundTrip();
  dns_->SetMode(DnsServer::Mode::kSilent);
  StartAt(kHere);
  AwaitRoundTrip();
  EXPECT_GT(Connections(), 0);
}

TEST_P(ResolverTest, SilentNameServerIsTheReason) {
  StartDns(kHere);
  dns_->SetMode(DnsServer::Mode::kSilent);
  StartAt(kHere);
  flags_["--timeout"] = "2s";
  StartPlugin();
  EXPECT_THAT(AwaitStatus(Code::kDeadlineExceeded),
              StatusIs(Code::kDeadlineExceeded,
                       "cannot resolve kms.test: the name service did not answer in time"));
  dns_->SetMode(DnsServer::Mode::kAnswer);
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
}

}  // namespace
}  // namespace okms::test
