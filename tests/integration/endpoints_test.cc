// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Several hosts of one KMS, each a process of its own: they are killed, stopped, and started again
// while clients call without pause. What fails is not repeated: each call counts.

#include <signal.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "integration/rest_plugin_test.h"
#include "integration/steady_load.h"

namespace okms::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::size_t kClients = 4;

class EndpointsTest : public RestPluginTest {
 protected:
  void UseProtocol(const std::string& protocol) {
    rest_ = protocol == "rest";
    if (!rest_) UseKmip();
    flags_["--encryption-key-id"] = kKeyId;
    flags_["--serv-addr"] = absl::StrCat(Address(0), ",", Address(1));
  }
  std::string Address(std::size_t host) const {
    return absl::StrCat(rest_ ? "https://" : "", Name(host));
  }
  std::string Name(std::size_t host) const {
    return absl::StrCat("127.0.0.1:", ports_[host].number());
  }

  // With a key of that material, a digit.
  void StartHost(std::size_t host, char material = '1') {
    ChildOptions options;
    options.argv = {OKMS_MOCK_KMS,
                    "--pki",
                    dir_.path(),
                    "--key",
                    absl::StrCat("id=", kKeyId, ",name=kek,material=", std::string(64, material)),
                    rest_ ? "--rest-port" : "--port",
                    absl::StrCat(ports_[host].number())};
    hosts_[host] = Must(ChildProcess::Start(options));
    const bool listens = WaitUntil([&] {
      return hosts_[host]->Out().find(rest_ ? "REST" : "listening") != std::string::npos;
    });
    Must(listens, absl::StrCat("the mock KMS does not start: ", hosts_[host]->Err()));
  }
  // SIGSTOP leaves the connections as they are, and new ones are taken by the kernel.
  void Fell(std::size_t host, int signal) {
    hosts_[host]->Signal(signal);
    if (signal != SIGSTOP) hosts_[host]->Wait();
  }
  void Raise(std::size_t host, int signal) {
    if (signal == SIGSTOP) {
      hosts_[host]->Signal(SIGCONT);
    } else {
      StartHost(host);
    }
  }

  void StartLoad() {
    load_.Start(kClients, NewPlaintext(), [this] { return NewClient(); });
  }
  // All kinds of calls, twice.
  bool AllServed() { return load_.AllServed(6); }

  std::array<std::unique_ptr<ChildProcess>, 2> hosts_;
  SteadyLoad load_;

 private:
  bool rest_ = true;
  const std::array<ReservedPort, 2> ports_{};
};

class FallingHostTest : public EndpointsTest,
                        public testing::WithParamInterface<std::tuple<const char*, int>> {};

TEST_P(FallingHostTest, CostsNoCall) {
  const auto& [protocol, signal] = GetParam();
  UseProtocol(protocol);
  StartHost(0);
  StartHost(1);
  StartReady();
  StartLoad();
  ASSERT_TRUE(AllServed());
  // The preferred one, of which the plugin sees at once that it is back.
  Fell(0, signal);
  ASSERT_TRUE(plugin().WaitForLine(absl::StrCat(Name(0), " is out: ")));
  ASSERT_TRUE(AllServed());
  Raise(0, signal);
  ASSERT_TRUE(plugin().WaitForLine(absl::StrCat(Name(0), " is back")));
  ASSERT_TRUE(AllServed());
  // The other one, and then, while that is back in time, the preferred one again.
  Fell(1, signal);
  ASSERT_TRUE(AllServed());
  Raise(1, signal);
  ASSERT_TRUE(AllServed());
  Fell(0, signal);
  ASSERT_TRUE(AllServed());
  load_.Stop();
  EXPECT_THAT(load_.Failures(), IsEmpty());
  EXPECT_EQ(StopPlugin(), 0);
}

std::string Case(const testing::TestParamInfo<std::tuple<const char*, int>>& test) {
  const auto& [protocol, signal] = test.param;
  const char* const end = signal == SIGKILL ? "killed" : signal == SIGTERM ? "ended" : "stopped";
  return absl::StrCat(protocol, "_", end);
}

INSTANTIATE_TEST_SUITE_P(, FallingHostTest,
                         testing::Combine(testing::Values("kmip", "rest"),
                                          testing::Values(SIGKILL, SIGTERM, SIGSTOP)),
                         Case);

class DifferingHostTest : public EndpointsTest, public testing::WithParamInterface<const char*> {};

TEST_P(DifferingHostTest, EncryptsNothing) {
  UseProtocol(GetParam());
  StartHost(0);
  StartHost(1, '2');
  StartReady();
  ASSERT_TRUE(plugin().WaitForLine(absl::StrCat(Name(1), " disagrees")));
  ExpectRoundTrip();
  const auto record = client().Encrypt(NewPlaintext());
  ASSERT_THAT(record, IsOk());

  Fell(0, SIGKILL);
  // What can be decrypted is decrypted; here it cannot, as it was encrypted with the other key.
  EXPECT_THAT(client().Decrypt(*record), StatusIs(Code::kUnavailable, HasSubstr(Name(1))));
  EXPECT_THAT(client().Encrypt(NewPlaintext()),
              StatusIs(Code::kUnavailable, HasSubstr(absl::StrCat(Name(1), ": not asked"))));

  // With the right key it reads what is there, and when it was seen twice, it encrypts.
  Fell(1, SIGKILL);
  StartHost(1);
  EXPECT_THAT(client().Decrypt(*record), IsOk());
  ASSERT_TRUE(plugin().WaitForLine(absl::StrCat(Name(1), " is back")));
  ExpectRoundTrip();
}

// Another host in its place, and no call meanwhile that could find it away.
TEST_P(DifferingHostTest, ThatTakesAPlaceUnnoticedEncryptsNothing) {
  UseProtocol(GetParam());
  StartHost(0);
  StartHost(1);
  StartReady();
  ExpectRoundTrip();
  Fell(0, SIGKILL);
  StartHost(0, '2');
  const auto record = client().Encrypt(NewPlaintext());
  ASSERT_THAT(record, IsOk());
  EXPECT_TRUE(plugin().WaitForLine(absl::StrCat(Name(0), " disagrees")));
  Fell(0, SIGKILL);
  EXPECT_THAT(client().Decrypt(*record), IsOk());
}

INSTANTIATE_TEST_SUITE_P(, DifferingHostTest, testing::Values("kmip", "rest"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace okms::test
