// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The start without a working KMS: the socket is served at once, Status tells the reason, and the
// plugin becomes ready by itself.

#include <netinet/in.h>
#include <sys/socket.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "integration/plugin_test.h"
#include "integration/unix_socket.h"

namespace okms::test {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;

class StartTest : public PluginTest {};

TEST_F(StartTest, ServesTheSocketWithoutAKms) {
  StartPlugin();
  EXPECT_THAT(client().Status(),
              StatusIs(Code::kUnavailable,
                       absl::StrCat("127.0.0.1:", port(), ": connect: Connection refused")));
}

TEST_F(StartTest, EncryptAndDecryptTellTheReasonToo) {
  StartPlugin();
  const std::string reason = absl::StrCat("127.0.0.1:", port(), ": connect: Connection refused");
  EXPECT_THAT(client().Encrypt(NewPlaintext()), StatusIs(Code::kUnavailable, reason));
  const Record record{std::string(48, 'x'), key_.id, {{"iv.okms.ovh.com", std::string(12, 'x')}}};
  EXPECT_THAT(client().Decrypt(record), StatusIs(Code::kUnavailable, reason));
}

TEST_F(StartTest, BecomesReadyByItselfWhenTheKmsComes) {
  StartPlugin();
  ASSERT_THAT(client().Status(), StatusIs(Code::kUnavailable, HasSubstr("refused")));
  StartKms();
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
  ExpectRoundTrip();
}

TEST_F(StartTest, BecomesReadyWithoutBeingAsked) {
  StartPlugin();
  StartKms();
  EXPECT_TRUE(plugin().WaitForLine("notice: ready: key key-1 encrypts and decrypts"))
      << plugin().Err();
}

TEST_F(StartTest, NameThatDoesNotResolve) {
  flags_["--serv-addr"] = "does-not-exist.invalid:5696";
  StartPlugin();
  // The name service may say no, or not answer.
  EXPECT_THAT(
      client().Status(),
      AnyOf(StatusIs(Code::kUnavailable, HasSubstr("cannot resolve does-not-exist.invalid")),
            StatusIs(Code::kDeadlineExceeded, HasSubstr("cannot resolve does-not-exist.invalid"))));
}

TEST_F(StartTest, KmsThatIsSilent) {
  StartKms();
  SetFault("hang");
  flags_["--timeout"] = "4s";
  StartPlugin();
  // Who asks before anything is known hears it within his own 3 seconds; later there is a reason.
  EXPECT_THAT(client().Status(), StatusIs(Code::kDeadlineExceeded, "the KMS does not answer"));
  EXPECT_THAT(NewClient({.timeout = kPatience})->Status(),
              StatusIs(Code::kDeadlineExceeded, absl::StrCat("KMIP DiscoverVersions: 127.0.0.1:",
                                                             port(), ": read: no answer in time")));
  ClearFault();
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
  ExpectRoundTrip();
}

TEST_F(StartTest, KmsThatNeverShakesHands) {
  // The kernel takes connections in the name of a program that does not.
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port());
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener.get(), 16), 0);
  flags_["--timeout"] = "1s";
  StartPlugin();
  EXPECT_THAT(AwaitStatus(Code::kDeadlineExceeded),
              StatusIs(Code::kDeadlineExceeded,
                       absl::StrCat("127.0.0.1:", port(), ": TLS handshake: no answer in time")));
}

TEST_F(StartTest, KmsThatResets) {
  StartKms();
  SetFault("reset");
  StartPlugin();
  EXPECT_THAT(client().Status(),
              StatusIs(Code::kUnavailable,
                       AllOf(HasSubstr("KMIP DiscoverVersions: "), HasSubstr("reset by peer"))));
  ClearFault();
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
  ExpectRoundTrip();
}

TEST_F(StartTest, KmsThatSpeaksSomethingElse) {
  StartKms();
  SetFault("garbage");
  StartPlugin();
  EXPECT_THAT(client().Status(), StatusIs(Code::kDataLoss, HasSubstr("KMIP DiscoverVersions: ")));
  ClearFault();
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
}

TEST_F(StartTest, StatusWaitsForTheFirstCheck) {
  MockKmsOptions options;
  options.delay = std::chrono::milliseconds(300);
  StartKms(std::move(options));
  StartPlugin();
  EXPECT_THAT(client().Status(), IsOk());  // the very first one
}

TEST_F(StartTest, EncryptWaitsForTheFirstCheck) {
  MockKmsOptions options;
  options.delay = std::chrono::milliseconds(200);
  StartKms(std::move(options));
  StartPlugin();
  EXPECT_THAT(client().Encrypt(NewPlaintext()), IsOk());
}

TEST_F(StartTest, OneLineForOneReason) {
  StartPlugin();
  const std::string line = absl::StrCat("error: not ready: UNAVAILABLE: 127.0.0.1:", port(),
                                        ": connect: Connection refused");
  ASSERT_TRUE(plugin().WaitForLine(line)) << plugin().Err();
  // Several checks later (they come every half second, then less often) nothing was added.
  const Deadline until = Clock::now() + std::chrono::seconds(2);
  ASSERT_TRUE(WaitUntil([&] {
    EXPECT_EQ(client().Status().status().code(), Code::kUnavailable);
    return Expired(until);
  }));
  std::vector<std::string> lines = plugin().ErrLines();
  std::erase_if(lines, [](const std::string& each) {
    return absl::StartsWith(each, "debug: ") ||
           absl::StrContains(each, "renewed certificates will not be read");  // started by root
  });
  EXPECT_THAT(lines, testing::UnorderedElementsAre(HasSubstr(" serves "), line));
}

}  // namespace
}  // namespace okms::test
