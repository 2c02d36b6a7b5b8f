// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What the running plugin shows to who watches it, its sandbox on: over HTTP, and by
// grpc.health.v1.

#include <dirent.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/key_id_hash.h"
#include "integration/http2.h"
#include "integration/plugin_test.h"
#include "integration/unix_socket.h"

namespace okms::test {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

bool Never(const std::string&) { return false; }

class StatusPagesTest : public PluginTest {
 protected:
  StatusPagesTest() { flags_["--status-listen"] = absl::StrCat("unix:", pages_); }

  std::string Ask(const std::string& request) const {
    const UniqueFd fd = Must(ConnectUnix(pages_));
    return Exchange(fd.get(), request, Never).bytes;
  }
  std::string Get(const std::string& path) const {
    return Ask(absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: kms\r\n\r\n"));
  }
  // What comes back from grpc.health.v1.
  std::string AskHealth(const std::string& method, const std::string& request) const {
    const UniqueFd fd = Must(ConnectUnix(socket()));
    return Exchange(
               fd.get(),
               Http2Call(absl::StrCat("/grpc.health.v1.Health/", method), "localhost", request),
               Http2Ended)
        .bytes;
  }
  // What it says of a service, by its number: 1 SERVING, 2 NOT_SERVING; 0 for an error.
  int Health(const std::string& service) const {
    std::string request;  // field 1, a text
    if (!service.empty()) {
      request = absl::StrCat("\n", std::string(1, static_cast<char>(service.size())), service);
    }
    const std::string message = Http2Message(AskHealth("Check", request)).value_or("");
    return message.size() == 2 && message[0] == 0x08 ? message[1] : 0;  // field 1, a number
  }
  int KmsCalls() {
    int calls = 0;
    for (const auto& [operation, count] : kms().handler().Counts()) calls += count;
    return calls;
  }
  // How many descriptors the plugin has open; for root only.
  int Descriptors() {
    int count = 0;
    DIR* const folder = ::opendir(absl::StrCat("/proc/", plugin().pid(), "/fd").c_str());
    Must(folder != nullptr, "cannot see the plugin's descriptors");
    while (::readdir(folder) != nullptr) ++count;
    ::closedir(folder);
    return count;
  }

  const std::string pages_ = dir_ / "status.sock";
};

constexpr char kWell[] = "HTTP/1.1 200 OK\r\n";
// As HPACK has it, before the length of the number: 0 OK, 5 NOT_FOUND, 12 UNIMPLEMENTED.
constexpr char kStatus[] = "\x0bgrpc-status";
constexpr char kNotReady[] = "HTTP/1.1 503 Service Unavailable\r\n";

TEST_F(StatusPagesTest, SayThatAllIsWell) {
  StartKms();
  StartReady();
  EXPECT_THAT(plugin().Err(), HasSubstr(absl::StrCat("info: status pages at ", pages_, "\n")));
  EXPECT_THAT(Get("/livez"), AllOf(StartsWith(kWell), EndsWith("\r\n\r\nok\n")));
  const std::string ready = Get("/readyz");
  EXPECT_THAT(ready, StartsWith(kWell));
  EXPECT_THAT(ready, HasSubstr("{\"ready\":true,\"reason\":\"\",\"since_seconds\":"));
  EXPECT_THAT(ready, HasSubstr(absl::StrCat("\"key_id_hash\":\"", KeyIdHash(key_.id), "\"}\n")));
  EXPECT_THAT(Get("/nothing"), StartsWith("HTTP/1.1 404 Not Found\r\n"));
  ASSERT_TRUE(WaitUntil([&] { return Health("") == 1; }));
  EXPECT_EQ(Health("v2.KeyManagementService"), 1);
  EXPECT_EQ(Health("another"), 0);
  EXPECT_EQ(Health("no \xff UTF-8"), 0);
  EXPECT_THAT(AskHealth("Check", ""), HasSubstr(absl::StrCat(kStatus, "\x01", "0")));
  EXPECT_THAT(AskHealth("Check", "\n\x01?"), HasSubstr(absl::StrCat(kStatus, "\x01", "5")));
  EXPECT_THAT(AskHealth("Watch", ""), HasSubstr(absl::StrCat(kStatus, "\x02", "12")));
}

TEST_F(StatusPagesTest, SayThatTheKmsIsAwayAndThatItIsBack) {
  StartPlugin();
  const absl::Status away = AwaitStatus(Code::kUnavailable);
  const std::string ready = Get("/readyz");
  EXPECT_THAT(ready, StartsWith(kNotReady));
  EXPECT_THAT(ready, HasSubstr("{\"ready\":false,\"reason\":\""));
  EXPECT_THAT(ready, HasSubstr("connect: Connection refused\",\"since_seconds\":"));
  EXPECT_THAT(ready, EndsWith("\"key_id_hash\":\"\"}\n"));
  EXPECT_THAT(Get("/livez"), StartsWith(kWell));
  EXPECT_EQ(Health(""), 2);
  EXPECT_EQ(Health("v2.KeyManagementService"), 2);
  StartKms();
  ASSERT_THAT(AwaitStatus(Code::kOk), IsOk());
  EXPECT_THAT(Get("/readyz"), StartsWith(kWell));
  EXPECT_TRUE(WaitUntil([&] { return Health("") == 1; }));
}

TEST_F(StatusPagesTest, SayWhatTheKmsSaysAgainstTheKey) {
  StartKms();
  StartReady();
  SetKeyState(kmip::State::kDeactivated);
  const absl::Status denied = AwaitStatus(Code::kFailedPrecondition);
  ASSERT_EQ(denied.code(), Code::kFailedPrecondition);
  const std::string ready = Get("/readyz");
  EXPECT_THAT(ready, StartsWith(kNotReady));
  EXPECT_THAT(ready, HasSubstr(absl::StrCat("\"reason\":\"", denied.message(), "\"")));
  EXPECT_THAT(ready, HasSubstr("\"key_id_hash\":\"sha256:"));
  EXPECT_TRUE(WaitUntil([&] { return Health("") == 2; }));
}

TEST_F(StatusPagesTest, CostTheKmsNoCall) {
  StartKms();
  StartReady();
  const int before = KmsCalls();
  for (int i = 0; i < 500; ++i) ASSERT_THAT(Get("/readyz"), StartsWith(kWell));
  // What is left is that of the plugin's own check each ten seconds.
  EXPECT_LT(KmsCalls() - before, 100);
}

TEST_F(StatusPagesTest, AreForUserAndGroupOnly) {
  StartPlugin();
  struct stat info {};
  ASSERT_EQ(::lstat(pages_.c_str(), &info), 0);
  EXPECT_TRUE(S_ISSOCK(info.st_mode));
  EXPECT_EQ(info.st_mode & 07777, 0660U);
  EXPECT_THAT(plugin().Err(), Not(HasSubstr("can be read by")));
}

TEST_F(StatusPagesTest, OverTcpSayWhoCanReadThem) {
  const ReservedPort port;
  flags_["--status-listen"] = absl::StrCat("127.0.0.1:", port.number());
  StartPlugin();
  EXPECT_THAT(plugin().Err(),
              HasSubstr(absl::StrCat(
                  "warning: the status pages at --status-listen 127.0.0.1:", port.number(),
                  ", which name the key and the KMS, can be read by every user "
                  "of this machine; a unix socket is for root and a group\n")));
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port.number());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_THAT(Exchange(fd.get(), "GET /livez HTTP/1.1\r\n\r\n", Never).bytes, StartsWith(kWell));
}

TEST_F(StatusPagesTest, AtOtherAddressesMustBeMeant) {
  flags_["--status-listen"] = "0.0.0.0:9440";
  const Ended ended = RunToEnd();
  EXPECT_EQ(ended.exit_status, 2);
  EXPECT_THAT(ended.err, StartsWith("error: --status-listen 0.0.0.0:9440: no loopback address"));
}

TEST_F(StatusPagesTest, AreServedOnTheSocketOfSystemd) {
  const UniqueFd kms = Must(BindUnix(dir_ / "passed.sock"));
  const std::string bound = pages_;
  const UniqueFd pages = Must(BindUnix(bound));
  flags_["--status-listen"] = absl::StrCat("unix:", dir_ / "unused.sock");
  ChildOptions options;
  options.listen_fd = kms.get();
  options.status_fd = pages.get();
  StartPlugin(options);
  EXPECT_THAT(Get("/livez"), StartsWith(kWell));
  struct stat info {};
  EXPECT_NE(::lstat((dir_ / "unused.sock").c_str(), &info), 0);
  // One that waits is answered by the next process.
  ASSERT_EQ(StopPlugin(), 0);
  const UniqueFd waiting = Must(ConnectUnix(pages_));
  StartPlugin(options);
  EXPECT_THAT(Exchange(waiting.get(), "GET /livez HTTP/1.1\r\n\r\n", Never).bytes,
              StartsWith(kWell));
}

TEST_F(StatusPagesTest, WithoutAPlaceAreALineAndNoMore) {
  StartKms();
  const UniqueFd theirs = Must(BindUnix(dir_ / "theirs.sock"));
  const UniqueFd manager = Must(BindUnix(dir_ / "notify", SOCK_DGRAM));
  const std::pair<std::string, std::string> cases[] = {
      {absl::StrCat("unix:", dir_ / "no/status.sock"), "there is no folder "},
      {absl::StrCat("unix:", dir_ / "theirs.sock"), "another process listens there"},
      {absl::StrCat("127.0.0.1:", port()), "Address already in use"},
  };
  for (const auto& [where, why] : cases) {
    flags_["--status-listen"] = where;
    ChildOptions options;
    options.environment = {absl::StrCat("NOTIFY_SOCKET=", dir_ / "notify")};
    StartPlugin(std::move(options));
    EXPECT_THAT(plugin().Err(), HasSubstr("error: no status pages: --status-listen "));
    EXPECT_THAT(plugin().Err(), HasSubstr(why));
    ASSERT_THAT(AwaitStatus(Code::kOk), IsOk());
    ExpectRoundTrip();
    std::array<char, 4096> bytes{};
    std::string told;
    ASSERT_TRUE(WaitUntil([&, &why = why] {  // what an earlier process told is there as well
      const ssize_t size = ::recv(manager.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
      told.assign(bytes.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
      return told.find(why) != std::string::npos;
    })) << why;
    EXPECT_THAT(told, HasSubstr("NO STATUS PAGES: --status-listen "));
    EXPECT_EQ(StopPlugin(), 0);
  }
}

TEST_F(StatusPagesTest, ADeadSocketGivesWay) {
  for (int i = 0; i < 2; ++i) {
    StartPlugin();
    EXPECT_THAT(Get("/livez"), StartsWith(kWell));
    EXPECT_EQ(StopPlugin(), 0);
  }
}

TEST_F(StatusPagesTest, AThousandAtOnceAreAllAnswered) {
  StartKms();
  StartReady();
  const std::string request = "GET /readyz HTTP/1.1\r\n\r\n";
  std::vector<UniqueFd> guests;
  for (int i = 0; i < 1000; ++i) {
    guests.push_back(Must(ConnectUnix(pages_)));
    ASSERT_EQ(::send(guests.back().get(), request.data(), request.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(request.size()));
  }
  for (const UniqueFd& guest : guests) {
    ASSERT_THAT(Exchange(guest.get(), "", Never).bytes, StartsWith(kWell));
  }
  ExpectRoundTrip();
}

// Every kind of bad guest, over and over: the service goes on, and nothing of them stays.
TEST_F(StatusPagesTest, BadGuestsCostNothingThatLasts) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to look at the plugin's descriptors";
  StartKms();
  StartReady();
  const auto visit = [&] {
    std::vector<UniqueFd> guests;
    for (int i = 0; i < 1000; ++i) guests.push_back(Must(ConnectUnix(pages_)));
    const std::string huge(20'000, 'x');
    const std::string texts[] = {
        "GET /readyz HTTP/1.1\r\n\r\n",
        "GET /readyz HTTP/1.1\r\n\r\nGET /livez HTTP/1.1\r\n\r\n",
        absl::StrCat("GET /", huge, " HTTP/1.1\r\n\r\n"),
        absl::StrCat("GET / HTTP/1.1\r\nX: ", huge, "\r\n\r\n"),
        absl::StrCat("POST / HTTP/1.1\r\nContent-Length: 20000\r\n\r\n", huge),
        "\x16\x03\x01\x02",
        "GET /li",
        "",
    };
    for (std::size_t i = 0; i < guests.size(); ++i) {
      const std::string& text = texts[i % std::size(texts)];
      ::send(guests[i].get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    ExpectRoundTrip();
    guests.clear();
    EXPECT_THAT(Get("/livez"), StartsWith(kWell));
    ExpectRoundTrip();
  };
  visit();
  const int descriptors = Descriptors();
  const int memory = MemoryKb();
  for (int i = 0; i < 10; ++i) visit();
  EXPECT_TRUE(WaitUntil([&] { return Descriptors() <= descriptors + 2; })) << Descriptors();
  EXPECT_TRUE(WaitUntil([&] { return MemoryKb() < memory + 2048; })) << MemoryKb() - memory;
}

TEST_F(StatusPagesTest, GuestsWhoStayDoNotHoldUpTheEnd) {
  StartKms();
  StartReady();
  std::vector<UniqueFd> guests;
  for (int i = 0; i < 100; ++i) guests.push_back(Must(ConnectUnix(pages_)));
  EXPECT_EQ(StopPlugin(), 0);
  for (const UniqueFd& guest : guests) {
    const Heard heard = Exchange(guest.get(), "", Never);
    EXPECT_TRUE(heard.closed);
    EXPECT_THAT(heard.bytes, IsEmpty());
  }
}

}  // namespace
}  // namespace okms::test
