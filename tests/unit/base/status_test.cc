// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/status.h"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pemerr.h>

#include <cerrno>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "support/status_is.h"

namespace okms {
namespace {

using test::StatusIs;

TEST(Printable, KeepsPrintableAscii) {
  std::string all;
  for (char c = 0x20; c < 0x7f; ++c) all += c;
  EXPECT_EQ(Printable(all), all);
}

TEST(Printable, ReplacesEveryOtherByte) {
  for (int c = 0; c < 256; ++c) {
    if (c >= 0x20 && c < 0x7f) continue;
    const std::string text(1, static_cast<char>(c));
    EXPECT_EQ(Printable(text), "?") << c;
  }
  EXPECT_EQ(Printable("a\nb\r\x1b[31mc\xc3\xa9"), "a?b??[31mc??");
}

TEST(Printable, CutsAndMarksWhatIsOverTheLimit) {
  EXPECT_EQ(Printable("12345", 5), "12345");
  EXPECT_EQ(Printable("123456", 5), "12345... (6 bytes)");
  EXPECT_EQ(Printable(std::string(200, 'x')), std::string(200, 'x'));
  EXPECT_EQ(Printable(std::string(201, 'x')),
            absl::StrCat(std::string(200, 'x'), "... (201 bytes)"));
  EXPECT_EQ(Printable(""), "");
}

TEST(Printable, WithholdsPem) {
  const std::string pem = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n";
  EXPECT_EQ(Printable(pem), "(PEM of 49 bytes)");
  EXPECT_EQ(Printable("before " + pem, 5), "(PEM of 56 bytes)");
  EXPECT_EQ(Printable(absl::Base64Escape(pem)), "(PEM of 68 bytes)");
}

// The first line of a key, by itself: openssl genpkey, genrsa -traditional, ecparam -genkey. None
// of these was ever of use.
TEST(Printable, WithholdsTheBase64OfAKey) {
  for (const char* const line : {
           "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgK8+Rh0QSvAugybLw",
           "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCihB0rIuufMIyA",
           "MC4CAQAwBQYDK2VwBCIEIAf4LfHufxg0UbZgzi3mrLc8VrtcVbx8i53Ogb9JXdxT",
           "MIIEpAIBAAKCAQEAxDaXhHx9KFUuKp2il8YpvBU23Ure94MBIeXwm1ESFjmmRCTK",
           "MHcCAQEEIF0JLLlpYcFcMOERl1+mQ0bFwKYy8v6ab1zH2W/s0ev9oAoGCCqGSM49",
           "MIGkAgEBBDDmnUr/eRJxwNaKHbzH17Wptr+a2+e+lpneSk793S+tv6SIVjQ7Wosm",
       }) {
    EXPECT_EQ(Printable(line), "(PEM of 64 bytes)");
    EXPECT_EQ(Printable(absl::StrCat("--client-key ", line, ": none")), "(PEM of 83 bytes)");
  }
  // Certificates, names of files, and words.
  const std::string certificate =
      "MIIDXTCCAkWgAwIBAgIJAJC1HiIAZAiIMA0GCSqGSIb3DQEBCwUAMEUxCzAJBgNV";
  EXPECT_EQ(Printable(certificate), certificate);
  const std::string path = "/etc/MIGHAgEAM/" + std::string(60, 'x');
  EXPECT_EQ(Printable(path), path);
}

TEST(PrintableAddress, WithholdsAUser) {
  EXPECT_EQ(PrintableAddress("kms\n:1"), "kms?:1");
  EXPECT_EQ(PrintableAddress("@name"), "@name");
  EXPECT_EQ(PrintableAddress("https://user:password@kms"), "(with a user)");
  EXPECT_EQ(PrintableAddress("user:pass@word@kms:1"), "(with a user)");
}

TEST(Describe, NamesTheCodeThenTheMessage) {
  EXPECT_EQ(Describe(absl::UnavailableError("closed")), "UNAVAILABLE: closed");
  EXPECT_EQ(Describe(absl::FailedPreconditionError("not Active")),
            "FAILED_PRECONDITION: not Active");
  EXPECT_EQ(Describe(absl::OkStatus()), "OK: ");
}

TEST(WithDetail, StaysOutOfTheMessage) {
  const absl::Status status = WithDetail(absl::UnavailableError("refused"), "request id 7");
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable, "refused"));
  EXPECT_EQ(Message(status), "refused (request id 7)");
  EXPECT_EQ(Describe(status), "UNAVAILABLE: refused (request id 7)");
}

TEST(WithDetail, TheLastOneCounts) {
  absl::Status status = WithDetail(absl::UnavailableError("refused"), "request id 7");
  status = WithDetail(std::move(status), "request id 8");
  EXPECT_EQ(Message(status), "refused (request id 8)");
}

TEST(Message, IsTheMessageAloneWithoutADetail) {
  EXPECT_EQ(Message(absl::UnavailableError("closed")), "closed");
  EXPECT_EQ(Message(absl::OkStatus()), "");
}

TEST(Annotate, KeepsTheDetail) {
  const absl::Status status =
      Annotate(WithDetail(absl::UnavailableError("refused"), "request id 7"), "test encryption");
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable, "test encryption: refused"));
  EXPECT_EQ(Message(status), "test encryption: refused (request id 7)");
  EXPECT_EQ(Describe(status), "UNAVAILABLE: test encryption: refused (request id 7)");
}

TEST(Annotate, PutsTheContextInFrontAndKeepsTheCode) {
  EXPECT_THAT(Annotate(absl::DataLossError("cut short"), "KMIP Query"),
              StatusIs(absl::StatusCode::kDataLoss, "KMIP Query: cut short"));
}

TEST(Annotate, LeavesOkAlone) { EXPECT_EQ(Annotate(absl::OkStatus(), "x"), absl::OkStatus()); }

TEST(ErrnoStatus, NamesTheError) {
  EXPECT_THAT(ErrnoStatus(absl::StatusCode::kUnavailable, "connect", ECONNREFUSED),
              StatusIs(absl::StatusCode::kUnavailable, "connect: Connection refused"));
}

TEST(OpenSslErrors, SaysSoWhenThereAreNone) {
  ERR_clear_error();
  EXPECT_EQ(OpenSslErrors(), "no further detail");
}

TEST(OpenSslErrors, JoinsAndDrainsTheQueue) {
  ERR_clear_error();
  ERR_raise(ERR_LIB_PEM, PEM_R_NO_START_LINE);
  ERR_raise(ERR_LIB_PEM, PEM_R_BAD_PASSWORD_READ);
  EXPECT_EQ(OpenSslErrors(), "no start line; bad password read");
  EXPECT_EQ(ERR_peek_error(), 0u);
  EXPECT_EQ(OpenSslErrors(), "no further detail");
}

TEST(OpenSslErrors, GivesTheNumberOfAnErrorWithoutAText) {
  ERR_clear_error();
  ERR_raise(ERR_LIB_USER, 77);
  const unsigned long code = ERR_peek_error();
  EXPECT_EQ(OpenSslErrors(), absl::StrCat("error ", code));
}

absl::StatusOr<std::string> Half(absl::StatusOr<std::string> input) {
  OKMS_ASSIGN_OR_RETURN(const std::string text, std::move(input));
  return text.substr(0, text.size() / 2);
}

TEST(AssignOrReturn, GivesTheValueOrReturnsTheStatus) {
  EXPECT_EQ(*Half(std::string("abcd")), "ab");
  EXPECT_THAT(Half(absl::NotFoundError("no text")),
              StatusIs(absl::StatusCode::kNotFound, "no text"));
}

absl::Status ReturnEarly(const absl::Status& status, bool& went_on) {
  OKMS_RETURN_IF_ERROR(status);
  went_on = true;
  return absl::OkStatus();
}

TEST(ReturnIfError, ReturnsAtTheFirstErrorOnly) {
  bool went_on = false;
  EXPECT_THAT(ReturnEarly(absl::AbortedError("stop"), went_on),
              StatusIs(absl::StatusCode::kAborted, "stop"));
  EXPECT_FALSE(went_on);
  EXPECT_EQ(ReturnEarly(absl::OkStatus(), went_on), absl::OkStatus());
  EXPECT_TRUE(went_on);
}

}  // namespace
}  // namespace okms
