// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The same facts in each view of the running plugin, its sandbox on, while things go wrong: Status
// of KMS v2, /readyz, /metrics, and /status with the line that systemd is told.

#include <unistd.h>

#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "integration/reload_test.h"
#include "integration/unix_socket.h"
#include "support/plaintext.h"

namespace okms::test {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class ViewsTest : public ReloadTest {
 protected:
  ViewsTest() { flags_["--status-listen"] = absl::StrCat("unix:", pages_); }

  std::string Page(const std::string& path) const {
    const UniqueFd fd = Must(ConnectUnix(pages_));
    const std::string answer =
        Exchange(fd.get(), absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: kms\r\n\r\n"),
                 [](const std::string&) { return false; })
            .bytes;
    const auto head = answer.find("\r\n\r\n");
    return head == std::string::npos ? "" : answer.substr(head + 4);
  }
  json Report() const { return json::parse(Page("/status")); }
  bool Shows(const std::string& line) const {
    return absl::StrContains(absl::StrCat("\n", Page("/metrics")), absl::StrCat("\n", line, "\n"));
  }

  // Whether all views say that of the key, now.
  bool Agree(const absl::Status& status) {
    const json report = Report();
    const json ready = json::parse(Page("/readyz"));
    const std::string code = absl::StatusCodeToString(status.code());
    const std::string hash = report["key"]["id_hash"];
    return report["ready"] == status.ok() && ready["ready"] == status.ok() &&
           report["code"] == code && report["reason"] == ready["reason"] &&
           absl::StartsWith(status.message(), std::string(report["reason"]).substr(0, 30)) &&
           ready["key_id_hash"] == hash && Shows(absl::StrCat("okms_kms_ready ", status.ok())) &&
           Shows(absl::StrCat("okms_kms_status_info{code=\"", code, "\"} 1")) &&
           (hash.empty() ||
            absl::StrContains(Page("/metrics"),
                              absl::StrCat("okms_kms_key_info{key_id_hash=\"", hash, "\"")));
  }

  const std::string pages_ = dir_ / "status.sock";
};

INSTANTIATE_TEST_SUITE_P(, ViewsTest, testing::Values(Speaks::kKmip, Speaks::kRest), NameOf);

TEST_P(ViewsTest, AgreeOnTheVerdictWhateverHappens) {
  StartPlugin();
  const absl::Status away = AwaitStatus(Code::kUnavailable);
  EXPECT_TRUE(WaitUntil([&] { return Agree(client().Status().status()); })) << Page("/status");
  EXPECT_EQ(Report()["hosts"][0]["up"], false);
  EXPECT_TRUE(absl::StrContains(Page("/metrics"), "okms_kms_endpoint_up{host="));
  EXPECT_THAT(std::string(Report()["state"]), HasSubstr("connect: Connection refused"));
  StartEither();
  ASSERT_THAT(AwaitStatus(Code::kOk), IsOk());
  EXPECT_TRUE(WaitUntil([&] { return Agree(absl::OkStatus()); })) << Page("/status");
  EXPECT_TRUE(WaitUntil([&] { return Report()["hosts"][0]["up"] == true; }));
  if (GetParam() == Speaks::kRest) return;
  SetKeyState(kmip::State::kDeactivated);
  ASSERT_EQ(AwaitStatus(Code::kFailedPrecondition).code(), Code::kFailedPrecondition);
  EXPECT_TRUE(WaitUntil([&] { return Agree(client().Status().status()); })) << Page("/status");
  SetKeyState(kmip::State::kActive);
  ASSERT_THAT(AwaitStatus(Code::kOk), IsOk());
  EXPECT_TRUE(WaitUntil([&] { return Agree(absl::OkStatus()); })) << Page("/status");
}

TEST_P(ViewsTest, SayThatNobodyCanConnect) {
  StartServing();
  ASSERT_TRUE(Agree(absl::OkStatus()));
  ASSERT_EQ(::unlink(socket().c_str()), 0);
  ASSERT_TRUE(WaitUntil([&] { return Shows("okms_kms_ready 0"); }));
  const json report = Report();
  EXPECT_EQ(report["ready"], false);
  EXPECT_THAT(std::string(report["reason"]), HasSubstr("NOBODY CAN CONNECT"));
  const json ready = json::parse(Page("/readyz"));
  EXPECT_EQ(ready["ready"], false);
  EXPECT_EQ(ready["reason"], report["reason"]);
}

TEST_P(ViewsTest, CountTheSameCalls) {
  StartServing();
  const Record record = Must(client().Encrypt(NewPlaintext()));
  for (int i = 0; i < 3; ++i) EXPECT_THAT(client().Decrypt(record), IsOk());
  Record torn = record;
  torn.ciphertext.resize(torn.ciphertext.size() / 2);
  EXPECT_FALSE(client().Decrypt(torn).ok());
  const json decrypts = Report()["methods"]["Decrypt"];
  int failed = 0;
  for (const auto& [code, count] : decrypts["by_code"].items()) {
    EXPECT_TRUE(Shows(absl::StrCat("okms_kms_requests_total{method=\"Decrypt\",code=\"", code,
                                   "\"} ", count.get<int>())));
    if (code != "OK") failed += count.get<int>();
  }
  EXPECT_EQ(decrypts["by_code"]["OK"], 4);  // with that of the round trip
  EXPECT_EQ(failed, 1);
  EXPECT_EQ(decrypts["seconds"]["count"], 5);
  EXPECT_TRUE(Shows("okms_kms_request_duration_seconds_count{method=\"Decrypt\"} 5"));
  const json host = Report()["hosts"][0];
  EXPECT_GT(host["requests"]["succeeded"], 6);  // with those of the check
  EXPECT_GT(host["steps"]["handshake"]["seconds"]["count"], 0);
  EXPECT_GE(host["connections"], 1);
}

TEST_P(ViewsTest, SayThatWhatIsOnDiskIsNotInUse) {
  StartServing();
  EXPECT_TRUE(Shows("okms_kms_files_in_use 1"));
  const json before = Report()["certificates"];
  Write(At("client.pem"), "no certificate");
  ASSERT_TRUE(Reload(kNotTaken)) << plugin().Err();
  EXPECT_TRUE(Shows("okms_kms_files_in_use 0"));
  EXPECT_TRUE(Shows("okms_kms_reloads_total{outcome=\"failed\"} 1"));
  const json report = Report();
  EXPECT_THAT(std::string(report["reload"]["trouble"]), HasSubstr("client.pem"));
  EXPECT_THAT(std::string(report["state"]), HasSubstr("certificates on disk are not taken"));
  EXPECT_EQ(report["certificates"].size(), before.size());
  InstallNew("plugin-2");
  ASSERT_TRUE(Reload(kTaken)) << plugin().Err();
  EXPECT_TRUE(Shows("okms_kms_files_in_use 1"));
  EXPECT_TRUE(Shows("okms_kms_reloads_total{outcome=\"succeeded\"} 1"));
  EXPECT_EQ(Report()["reload"]["trouble"], "");
}

TEST_P(ViewsTest, HoldNoSecretAndOverMetricsNoId) {
  StartServing();
  const std::string seed = NewPlaintext();
  const Record record = Must(client().Encrypt(seed));
  for (const std::string page : {"/metrics", "/status", "/readyz", "/livez"}) {
    const std::string text = Page(page);
    ASSERT_THAT(text, Not(IsEmpty())) << page;
    ExpectNoPlaintext(text, seed);
    EXPECT_THAT(text, Not(HasSubstr("PRIVATE KEY"))) << page;
  }
  EXPECT_THAT(Page("/metrics"),
              AllOf(HasSubstr("okms_kms_key_info"), Not(HasSubstr(record.key_id))));
}

}  // namespace
}  // namespace okms::test
