// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Certificates that are not valid now, and files that are not there: what kube-apiserver, systemd
// and the log are told, and how it ends.

#include <poll.h>

#include <array>
#include <filesystem>
#include <string>

#include "absl/strings/match.h"
#include "integration/rest_plugin_test.h"
#include "integration/unix_socket.h"

namespace okms::test {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

enum class Speaks { kKmip, kRest };

// Both protocols, each with its mock KMS, which takes no certificate that is not valid.
class CertificatesTest : public RestPluginTest, public testing::WithParamInterface<Speaks> {
 protected:
  CertificatesTest() {
    if (GetParam() == Speaks::kKmip) UseKmip();
  }
  void StartEither() {
    if (GetParam() == Speaks::kKmip) {
      StartKms();
    } else {
      StartOkms();
    }
  }
  std::string Use(long valid_from, long valid_until) {
    const KeyPairFiles pair = Must(pki_.Issue(
        "timed", {.common_name = "plugin", .valid_from = valid_from, .valid_until = valid_until}));
    flags_["--client-cert"] = pair.certificate;
    flags_["--client-key"] = pair.key;
    return absl::StrCat("--client-cert ", pair.certificate, ": ");
  }
  int Lines(const std::string& start) {
    int count = 0;
    for (const std::string& line : plugin().ErrLines()) count += absl::StartsWith(line, start);
    return count;
  }
  static auto Says(const std::string& what) {
    return StatusIs(Code::kUnauthenticated,
                    AllOf(HasSubstr("the KMS refuses our certificate"), HasSubstr(what)));
  }
};
INSTANTIATE_TEST_SUITE_P(, CertificatesTest, testing::Values(Speaks::kKmip, Speaks::kRest),
                         [](const auto& test) {
                           return test.param == Speaks::kKmip ? "Kmip" : "Rest";
                         });

TEST_P(CertificatesTest, ExpiredBeforeTheStart) {
  const std::string name = Use(-7200, -3600);
  StartEither();
  StartPlugin();
  const absl::Status status = AwaitStatus(Code::kUnauthenticated);
  EXPECT_THAT(status, Says(absl::StrCat(name, "expired on 20")));
  EXPECT_THAT(std::string(status.message()),
              ContainsRegex("; renew it and restart, or correct this machine's clock, which says "
                            "20[0-9]{2}-[0-9]{2}-[0-9]{2}"));
  EXPECT_THAT(client().Encrypt(NewPlaintext()), Says(absl::StrCat(name, "expired on 20")));
  ASSERT_TRUE(plugin().WaitForLine(absl::StrCat("error: ", name, "expired on ")));
  // Checks later there is nothing new to say.
  const Deadline until = Clock::now() + std::chrono::seconds(2);
  WaitUntil([&] { return Expired(until); });
  EXPECT_EQ(Lines(absl::StrCat("error: ", name)), 1) << plugin().Err();
}

TEST_P(CertificatesTest, NotYetValid) {
  const std::string name = Use(3600, 7200);
  StartEither();
  StartPlugin();
  EXPECT_THAT(AwaitStatus(Code::kUnauthenticated), Says(absl::StrCat(name, "not valid before 20")));
  EXPECT_TRUE(plugin().WaitForLine(absl::StrCat("error: ", name, "not valid before 20")));
}

// Whatever is first in the way: when that is gone, the certificate is.
TEST_P(CertificatesTest, ExpiredWhileTheKmsIsAway) {
  const std::string name = Use(-7200, -3600);
  StartPlugin();
  EXPECT_THAT(AwaitStatus(Code::kUnavailable),
              StatusIs(Code::kUnavailable, AllOf(HasSubstr("connect: Connection refused; "),
                                                 HasSubstr(absl::StrCat(name, "expired on 20")))));
}

TEST_P(CertificatesTest, ACaThatHasExpired) {
  const KeyPairFiles old =
      Must(pki_.Issue("old-ca", {.common_name = "CA", .valid_from = -7200, .valid_until = -3600}));
  flags_["--ca"] = old.certificate;
  StartEither();
  StartPlugin();
  EXPECT_THAT(
      AwaitStatus(Code::kUnauthenticated),
      StatusIs(Code::kUnauthenticated,
               AllOf(HasSubstr("the KMS's certificate is refused"),
                     HasSubstr(absl::StrCat("; --ca ", old.certificate, ": expired on 20")))));
}

// The connection that is open by then must not hide it.
TEST_P(CertificatesTest, ExpiresWhileItRuns) {
  const UniqueFd manager = Must(BindUnix(dir_ / "notify", SOCK_DGRAM));
  const std::string name = Use(-3600, 4);
  StartEither();
  ChildOptions options;
  options.environment = {absl::StrCat("NOTIFY_SOCKET=", dir_ / "notify")};
  StartPlugin(std::move(options));
  ASSERT_THAT(AwaitStatus(Code::kOk), IsOk());
  ExpectRoundTrip();
  EXPECT_THAT(plugin().Err(), Not(HasSubstr("expired")));

  ASSERT_TRUE(plugin().WaitForLine(absl::StrCat("error: ", name, "expired on 20")));
  // Over REST the checks look at the key's attributes for half a minute, by the open connection.
  EXPECT_THAT(AwaitStatus(Code::kUnauthenticated, std::chrono::seconds(45)),
              Says(absl::StrCat(name, "expired on 20")));
  EXPECT_EQ(Lines(absl::StrCat("error: ", name)), 1);
  EXPECT_EQ(Lines(absl::StrCat("warning: ", name, "expires on 20")), 1) << plugin().Err();

  bool before = false;
  bool after = false;
  pollfd entry{manager.get(), POLLIN, 0};
  while (!after && ::poll(&entry, 1, PollTimeout(Clock::now() + kPatience)) > 0) {
    std::array<char, 4096> buffer{};
    const ssize_t size = ::recv(manager.get(), buffer.data(), buffer.size(), 0);
    const std::string state(buffer.data(), static_cast<std::size_t>(size));
    before = before || (absl::StrContains(state, "; --client-cert until 20") &&
                        absl::StrContains(state, ", 0 minutes left; "));
    after = after || absl::StrContains(state, "; --client-cert expired on 20");
  }
  EXPECT_TRUE(before && after);
}

// ---- Files that are not there

class MissingFilesTest : public PluginTest {
 protected:
  MissingFilesTest()
      : manager_(Must(BindUnix(dir_ / "notify", SOCK_DGRAM))), passed_(Must(BindUnix(socket()))) {}

  // As systemd does it.
  void StartActivated() {
    ChildOptions options;
    options.listen_fd = passed_.get();
    options.environment = {absl::StrCat("NOTIFY_SOCKET=", dir_ / "notify")};
    StartPlugin(std::move(options));
  }
  std::string Told() {
    std::string all;
    std::array<char, 4096> buffer{};
    ssize_t size = 0;
    while ((size = ::recv(manager_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT)) > 0) {
      absl::StrAppend(&all, std::string(buffer.data(), static_cast<std::size_t>(size)), "\n");
    }
    return all;
  }

  const UniqueFd manager_;
  const UniqueFd passed_;
};

TEST_F(MissingFilesTest, StatusSaysSoUntilTheProcessEndsToBeStartedAnew) {
  StartKms();
  const std::string certificate = flags_["--client-cert"];
  std::filesystem::rename(certificate, dir_ / "elsewhere.pem");
  StartActivated();
  const std::string reason =
      absl::StrCat("--client-cert ", certificate,
                   ": cannot be read: open: No such file or directory; correct the path");
  {
    const auto client = NewClient();  // gRPC's leave an end without calls unnoticed for seconds
    EXPECT_THAT(client->Status(), StatusIs(Code::kUnauthenticated, reason));
    EXPECT_THAT(client->Encrypt(NewPlaintext()), StatusIs(Code::kUnauthenticated, reason));
    EXPECT_THAT(client->Decrypt({"ciphertext", "key-1", {}}),
                StatusIs(Code::kUnauthenticated, reason));
  }
  std::string told;
  // Read all the time: a full socket would hold it up.
  ASSERT_TRUE(WaitUntil([&] {
    absl::StrAppend(&told, Told());
    return !plugin().Running();
  }));
  EXPECT_EQ(plugin().Wait(), 1);
  EXPECT_THAT(plugin().Err(), HasSubstr(absl::StrCat("error: ", reason)));
  EXPECT_THAT(told, Not(HasSubstr("READY=1"))) << "it is not";
  EXPECT_THAT(told, HasSubstr(absl::StrCat("STATUS=serving; no key that works for 0 s (", reason)));

  std::filesystem::rename(dir_ / "elsewhere.pem", certificate);
  StartActivated();
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
  ExpectRoundTrip();
  EXPECT_THAT(Told(), HasSubstr("READY=1"));
}

TEST_F(MissingFilesTest, WithALabelToo) {
  UseLabel("kek");
  flags_["--client-key"] = dir_ / "none.key";
  StartActivated();
  EXPECT_THAT(client().Status(),
              StatusIs(Code::kUnauthenticated, HasSubstr("none.key: cannot be read: ")));
  EXPECT_EQ(StopPlugin(), 0);
  LaunchPlugin();
  EXPECT_EQ(plugin().Wait(), 1) << "without a socket of systemd's there is nobody to tell";
  flags_["--client-key"] = client_pair_.key;
  StartActivated();
}

}  // namespace
}  // namespace okms::test
