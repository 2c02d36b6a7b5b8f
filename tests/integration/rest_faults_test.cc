// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A REST API that fails, lies or is silent: one clear error, no crash, nothing later than the
// caller allows, and what comes after works.

#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "integration/rest_plugin_test.h"

namespace okms::test {
namespace {

using std::chrono::seconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

struct Answer {
  const char* fault;
  Code code;
  const char* message;  // a part of it
};

std::string Name(const testing::TestParamInfo<Answer>& info) {
  std::string name(info.param.fault);
  for (char& c : name) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
}

// What is the same for every call.
#define OKMS_BAD_ANSWERS                                                                          \
  Answer{"not-json", Code::kDataLoss, "the answer is no JSON but of type text/html"},             \
      Answer{"bad-json", Code::kDataLoss, "the answer is no valid JSON"},                         \
      Answer{"empty", Code::kDataLoss, "HTTP 200 with an empty body"},                            \
      Answer{"oversize", Code::kDataLoss, "an answer of more than 1048576 bytes"},                \
      Answer{"gzip", Code::kDataLoss, "the answer is encoded (gzip), which was not asked for"},   \
      Answer{"no-content", Code::kFailedPrecondition, "HTTP 204"},                                \
      Answer{"redirect=https://localhost:1/login", Code::kFailedPrecondition,                     \
             "the KMS redirects to https://localhost:1/login; the client certificate follows no " \
             "redirect"},                                                                         \
      Answer{"status=401", Code::kUnauthenticated, "refused: HTTP 401 Unauthorized"},             \
      Answer{"status=404", Code::kNotFound, "refused: HTTP 404 Not Found"},                       \
      Answer{"status=429", Code::kUnavailable, "refused: HTTP 429 Too Many Requests"},            \
      Answer{"status=500", Code::kUnavailable, "refused: HTTP 500 Internal Server Error"},        \
      Answer{"status=501", Code::kFailedPrecondition, "refused: HTTP 501 Not Implemented"},       \
      Answer{"plain-error=502", Code::kUnavailable,                                               \
             "refused: HTTP 502 Bad Gateway, with a body of type text/html"},                     \
      Answer{"close", Code::kUnavailable, ""}, Answer{"truncate", Code::kUnavailable, ""},        \
      Answer {                                                                                    \
    "hang", Code::kDeadlineExceeded, ""                                                           \
  }

class RestFaultsTest : public RestPluginTest {
 protected:
  RestFaultsTest() { StartOkms(); }
  // The plugin still runs, and is well again once the KMS is.
  void ExpectRecovery() {
    ClearRestFault();
    EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
    ExpectRoundTrip();
  }
};

class BadEncryptAnswerTest : public RestFaultsTest, public testing::WithParamInterface<Answer> {};

TEST_P(BadEncryptAnswerTest, IsOneErrorAndNotTheEnd) {
  StartReady();
  SetRestFault(absl::StrCat(GetParam().fault, ":encrypt"));
  EXPECT_THAT(client().Encrypt(NewPlaintext()),
              StatusIs(GetParam().code, HasSubstr(GetParam().message)));
  ExpectRecovery();
}

INSTANTIATE_TEST_SUITE_P(
    Answers, BadEncryptAnswerTest,
    testing::Values(OKMS_BAD_ANSWERS,
                    Answer{"wrong-type", Code::kDataLoss, "no text in \"ciphertext\""},
                    Answer{"no-field", Code::kDataLoss, "no text in \"ciphertext\""},
                    Answer{"big-ciphertext", Code::kDataLoss,
                           "a ciphertext of 1500 bytes; kube-apiserver takes at most 1024"},
                    Answer{"status=400", Code::kFailedPrecondition, "HTTP 400 Bad Request"},
                    Answer{"status=403", Code::kPermissionDenied, "HTTP 403 Forbidden"},
                    Answer{"echo", Code::kFailedPrecondition, "(a text that repeats the request)"}),
    Name);

class BadDecryptAnswerTest : public RestFaultsTest, public testing::WithParamInterface<Answer> {};

TEST_P(BadDecryptAnswerTest, IsOneErrorAndNotTheEnd) {
  StartReady();
  const auto record = client().Encrypt(NewPlaintext());
  ASSERT_THAT(record, IsOk());
  SetRestFault(absl::StrCat(GetParam().fault, ":decrypt"));
  EXPECT_THAT(client().Decrypt(*record), StatusIs(GetParam().code, HasSubstr(GetParam().message)));
  ExpectRecovery();
}

INSTANTIATE_TEST_SUITE_P(
    Answers, BadDecryptAnswerTest,
    testing::Values(OKMS_BAD_ANSWERS,
                    Answer{"wrong-type", Code::kDataLoss, "no text in \"plaintext\""},
                    Answer{"no-field", Code::kDataLoss, "no text in \"plaintext\""},
                    Answer{"status=400", Code::kInvalidArgument, "HTTP 400 Bad Request"},
                    Answer{"status=403", Code::kPermissionDenied, "HTTP 403 Forbidden"}),
    Name);

// At the start, when there is no key yet: Status says what is wrong.
class BadGetAnswerTest : public RestFaultsTest, public testing::WithParamInterface<Answer> {};

TEST_P(BadGetAnswerTest, IsWhatStatusSays) {
  SetRestFault(absl::StrCat(GetParam().fault, ":get"));
  StartPlugin();
  if (GetParam().code == Code::kNotFound || GetParam().code == Code::kFailedPrecondition) {
    EXPECT_THAT(client().Status(), IsOk()) << "a no to that question: the round trip decides";
  } else {
    EXPECT_THAT(client().Status(), StatusIs(GetParam().code, HasSubstr(GetParam().message)));
  }
  ExpectRecovery();
}

INSTANTIATE_TEST_SUITE_P(
    Answers, BadGetAnswerTest,
    testing::Values(OKMS_BAD_ANSWERS,
                    Answer{"wrong-type", Code::kDataLoss, "\"id\" of a key is no text"},
                    Answer{"no-field", Code::kDataLoss, "\"id\" of a key is no text"},
                    Answer{"other-key", Code::kDataLoss, "the answer is about key "}),
    Name);

class BadListAnswerTest : public RestFaultsTest, public testing::WithParamInterface<Answer> {
 protected:
  BadListAnswerTest() { UseLabel("kek"); }
};

TEST_P(BadListAnswerTest, IsWhatStatusSays) {
  SetRestFault(absl::StrCat(GetParam().fault, ":list"));
  StartPlugin();
  EXPECT_THAT(client().Status(), StatusIs(GetParam().code, HasSubstr(GetParam().message)));
  EXPECT_EQ(Count(RestCall::kGet), 0) << "nothing is to be got when the look-up has failed";
  ExpectRecovery();
}

INSTANTIATE_TEST_SUITE_P(
    Answers, BadListAnswerTest,
    testing::Values(OKMS_BAD_ANSWERS,
                    Answer{"wrong-type", Code::kDataLoss, "\"objects_list\" is no list"},
                    Answer{"no-field", Code::kDataLoss, "\"objects_list\" is no list"},
                    Answer{"status=403", Code::kPermissionDenied, "HTTP 403 Forbidden"},
                    Answer{"same-token", Code::kDataLoss, "the list does not end"}),
    Name);

TEST_F(RestFaultsTest, ListThatNeverEndsIsBounded) {
  UseLabel("kek");
  SetRestFault("endless:list");
  StartPlugin();
  // By the number of pages, or by the caller's deadline, whatever comes first.
  EXPECT_FALSE(client().Status().ok());
  ExpectRecovery();
}

class LastPageTest : public RestFaultsTest, public testing::WithParamInterface<const char*> {};

TEST_P(LastPageTest, IsKnownWhateverItsToken) {
  UseLabel("kek");
  SetRestFault(absl::StrCat(GetParam(), ":list"));
  StartReady();
}

INSTANTIATE_TEST_SUITE_P(Tokens, LastPageTest,
                         testing::Values("empty-token", "null-token", "no-token"));

TEST_F(RestFaultsTest, WhatPassesByItselfIsHidden) {
  StartReady();
  for (const char* fault :
       {"close:encrypt:1", "truncate:encrypt:1", "status=503:encrypt:2",
        "plain-error=502:encrypt:1", "status=429:decrypt:1", "close:decrypt:2"}) {
    SetRestFault(fault);
    ExpectRoundTrip();
  }
}

TEST_F(RestFaultsTest, WhatCannotHelpIsNotTriedAgain) {
  StartReady();
  for (const char* fault : {"status=501", "status=400", "status=403", "not-json", "empty"}) {
    ASSERT_THAT(AwaitStatus(Code::kOk), IsOk());
    SetRestFault(absl::StrCat(fault, ":encrypt"));
    const std::string plaintext = NewPlaintext();
    EXPECT_FALSE(client().Encrypt(plaintext).ok()) << fault;
    int attempts = 0;
    for (const RestRequest& request : okms().Requests()) {
      if (absl::StrContains(request.body, absl::Base64Escape(plaintext))) ++attempts;
    }
    EXPECT_EQ(attempts, 1) << fault;
    ClearRestFault();
  }
  ExpectRecovery();
}

TEST_F(RestFaultsTest, RetryAfterIsHeeded) {
  StartReady();
  SetRestFault("retry-after=1:encrypt:1");
  const auto begin = Clock::now();
  ExpectRoundTrip();
  EXPECT_GE(Clock::now() - begin, seconds(1));
}

TEST_F(RestFaultsTest, RetryAfterBeyondTheDeadlineIsSaidAtOnce) {
  StartReady();
  SetRestFault("retry-after=7200:encrypt");
  const auto begin = Clock::now();
  EXPECT_THAT(client().Encrypt(NewPlaintext()),
              StatusIs(Code::kUnavailable,
                       AllOf(HasSubstr("HTTP 429"), HasSubstr("to be tried again after 7200 s"))));
  EXPECT_LT(Clock::now() - begin, seconds(3)) << "the caller's whole time was spent on it";
  ExpectRecovery();
}

TEST_F(RestFaultsTest, RefusalIsOneLineWithCodeAndRequestId) {
  SetRestFault("status=404");
  StartPlugin();
  const absl::Status status = client().Status().status();
  EXPECT_THAT(status, StatusIs(Code::kNotFound, AllOf(HasSubstr("REST get key refused: HTTP 404"),
                                                      HasSubstr("code 0x"), HasSubstr("REST, "),
                                                      HasSubstr("request id "))));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("\n")));
  // The request ids differ, the line in the log comes once. Two more checks:
  okms().ClearRequests();
  EXPECT_TRUE(WaitUntil([&] { return Count(RestCall::kGet) >= 2; }));
  std::size_t lines = 0;
  for (const std::string& line : plugin().ErrLines()) {
    if (absl::StrContains(line, "not ready")) ++lines;
  }
  EXPECT_EQ(lines, 1U) << plugin().Err();
  ExpectRecovery();
}

TEST_F(RestFaultsTest, KmsThatCannotReadItsOwnTextIsNotUsed) {
  SetRestFault("wrong-data:decrypt");
  StartPlugin();
  EXPECT_THAT(
      client().Status(),
      StatusIs(Code::kDataLoss,
               HasSubstr("the KMS decrypted its own ciphertext to something else; nothing is "
                         "encrypted with this key")));
  ExpectRecovery();
}

}  // namespace
}  // namespace okms::test
