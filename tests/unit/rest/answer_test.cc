// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "rest/answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "support/status_is.h"
#include "unit/http/fake_http.h"

namespace okms::rest {
namespace {

using http::test::Response;
using okms::test::IsOk;
using okms::test::StatusIs;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using Code = absl::StatusCode;

absl::StatusOr<Json> Parse(const http::HttpResponse& response, absl::string_view sent = "") {
  return ParseAnswer("encrypt", response, sent);
}
// The answer to a request that the KMS refused.
absl::Status Refused(absl::string_view body, absl::string_view sent = "") {
  return Parse(Response(404, body), sent).status();
}

// ---- 200

TEST(ParseAnswer, GivesTheObject) {
  const auto answer = Parse(Response(200, R"({"a": "b", "n": [1, null]})"));
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ((*answer)["a"], "b");
  EXPECT_EQ(answer->dump(), R"({"a":"b","n":[1,null]})");
}

TEST(ParseAnswer, TakesEveryTypeThatSaysJson) {
  for (const char* type : {"application/json", "application/json; charset=utf-8",
                           "APPLICATION/JSON", "application/problem+json", "text/json"}) {
    EXPECT_THAT(Parse(Response(200, "{}", type)), IsOk()) << type;
  }
}

TEST(ParseAnswer, OtherTypeIsAnErrorThatNamesIt) {
  EXPECT_THAT(Parse(Response(200, "{}", "text/html")),
              StatusIs(Code::kDataLoss,
                       "REST encrypt: the answer is no JSON but of type text/html; check that "
                       "--serv-addr is the KMS's REST API"));
  EXPECT_THAT(Parse(Response(200, "{}", "")),
              StatusIs(Code::kDataLoss,
                       "REST encrypt: the answer is no JSON but of type (none); check that "
                       "--serv-addr is the KMS's REST API"));
  EXPECT_THAT(Parse(Response(200, "{}", "text/\n" + std::string(1000, 'x'))),
              StatusIs(Code::kDataLoss,
                       AllOf(HasSubstr("of type text/?xxx"), HasSubstr("... (1006 bytes)"))));
}

TEST(ParseAnswer, EmptyBody) {
  for (const char* type : {"application/json", "text/html", ""}) {
    EXPECT_THAT(Parse(Response(200, "", type)),
                StatusIs(Code::kDataLoss, "REST encrypt: HTTP 200 with an empty body"));
  }
}

TEST(ParseAnswer, NoJson) {
  for (const std::string body :
       {"{", "{}}", "{\"a\":}", "{'a':1}", "<html>", " ", "{\"a\":\"\n\"}", "{\"a\":01}", "{} x",
        "{\"a\":\"\xff\"}", "{\"a\":\"\xc3\"}", "{\"a\":\"\xed\xa0\x80\"}", "{\"\xfe\":1}",
        "{\"a\":\"\\ud800\"}", "\xff\xfe{}", "NaN", "{\"a\":nan}"}) {
    EXPECT_THAT(Parse(Response(200, body)),
                StatusIs(Code::kDataLoss, "REST encrypt: the answer is no valid JSON"))
        << body;
  }
}

TEST(ParseAnswer, JsonThatIsNoObject) {
  for (const char* body : {"[]", "null", "\"text\"", "1", "true", "[{}]"}) {
    EXPECT_THAT(Parse(Response(200, body)),
                StatusIs(Code::kDataLoss, "REST encrypt: the answer is JSON, but no object"))
        << body;
  }
}

TEST(ParseAnswer, DeepNestingIsOnlyAnotherAnswer) {
  const std::string open(100'000, '[');
  const std::string shut(100'000, ']');
  EXPECT_THAT(Parse(Response(200, open)),
              StatusIs(Code::kDataLoss, "REST encrypt: the answer is no valid JSON"));
  EXPECT_THAT(Parse(Response(200, open + shut)),
              StatusIs(Code::kDataLoss, "REST encrypt: the answer is JSON, but no object"));
  EXPECT_THAT(Parse(Response(200, absl::StrCat("{\"a\":", open, shut, "}"))), IsOk());
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  EXPECT_THAT(Parse(Response(200, objects + "1" + std::string(100'000, '}'))), IsOk());
  EXPECT_THAT(Parse(Response(200, objects)),
              StatusIs(Code::kDataLoss, "REST encrypt: the answer is no valid JSON"));
  EXPECT_THAT(Refused(absl::StrCat("{\"errors\":", open, shut, "}")),
              StatusIs(Code::kNotFound, "REST encrypt refused: HTTP 404 Not Found"));
  EXPECT_THAT(Refused(open),
              StatusIs(Code::kNotFound,
                       "REST encrypt refused: HTTP 404 Not Found, with a body of type "
                       "application/json"));
}

TEST(ParseAnswer, EncodedBody) {
  http::HttpResponse response = Response(200, "{}");
  response.content_encoding = "gzip";
  EXPECT_THAT(Parse(response),
              StatusIs(Code::kDataLoss,
                       "REST encrypt: the answer is encoded (gzip), which was not asked for; a "
                       "proxy on the way, perhaps"));
  response.content_encoding = "g\x1bzip" + std::string(100, 'z');
  EXPECT_THAT(Parse(response), StatusIs(Code::kDataLoss, AllOf(HasSubstr("(g?zipzzz"),
                                                               HasSubstr("... (105 bytes)"))));
  for (const char* same : {"identity", "Identity", ""}) {
    response.content_encoding = same;
    EXPECT_THAT(Parse(response), IsOk()) << same;
  }
}

// ---- Everything else

TEST(ParseAnswer, StatusCodes) {
  const struct {
    int status;
    Code code;
    const char* reason;
  } cases[] = {
      {400, Code::kFailedPrecondition, " Bad Request"},
      {401, Code::kUnauthenticated, " Unauthorized"},
      {402, Code::kFailedPrecondition, ""},
      {403, Code::kPermissionDenied, " Forbidden"},
      {404, Code::kNotFound, " Not Found"},
      {405, Code::kFailedPrecondition, " Method Not Allowed"},
      {406, Code::kFailedPrecondition, ""},
      {408, Code::kFailedPrecondition, ""},
      {409, Code::kFailedPrecondition, " Conflict"},
      {410, Code::kFailedPrecondition, ""},
      {413, Code::kFailedPrecondition, ""},
      {422, Code::kFailedPrecondition, ""},
      {429, Code::kUnavailable, " Too Many Requests"},
      {499, Code::kFailedPrecondition, ""},
      {500, Code::kUnavailable, " Internal Server Error"},
      {501, Code::kFailedPrecondition, " Not Implemented"},
      {502, Code::kUnavailable, " Bad Gateway"},
      {503, Code::kUnavailable, " Service Unavailable"},
      {504, Code::kUnavailable, " Gateway Timeout"},
      {505, Code::kUnavailable, ""},
      {599, Code::kUnavailable, ""},
      // Of success, only 200 is an answer to these calls.
      {201, Code::kFailedPrecondition, ""},
      {202, Code::kFailedPrecondition, ""},
      {204, Code::kFailedPrecondition, ""},
      {206, Code::kFailedPrecondition, ""},
      {0, Code::kFailedPrecondition, ""},
      {100, Code::kFailedPrecondition, ""},
  };
  for (const auto& [status, code, reason] : cases) {
    EXPECT_THAT(Parse(Response(status)),
                StatusIs(code, absl::StrCat("REST encrypt",
                                            status < 300 ? ": unexpected" : " refused:", " HTTP ",
                                            status, reason)));
    EXPECT_THAT(Parse(Response(status, R"({"ciphertext":"x"})")).status().code(), code) << status;
  }
}

TEST(ParseAnswer, BadRequestIsWhatTheCallerSays) {
  EXPECT_THAT(ParseAnswer("decrypt", Response(400), "", Code::kInvalidArgument),
              StatusIs(Code::kInvalidArgument, "REST decrypt refused: HTTP 400 Bad Request"));
  EXPECT_THAT(ParseAnswer("decrypt", Response(404), "", Code::kInvalidArgument),
              StatusIs(Code::kNotFound, "REST decrypt refused: HTTP 404 Not Found"));
}

TEST(ParseAnswer, RedirectIsNotFollowed) {
  for (const int status : {300, 301, 302, 303, 304, 307, 308, 399}) {
    http::HttpResponse response = Response(status, "<html>moved</html>", "text/html");
    response.location = "https://elsewhere/api";
    EXPECT_THAT(Parse(response),
                StatusIs(Code::kFailedPrecondition,
                         absl::StrCat("REST encrypt: HTTP ", status,
                                      ": the KMS redirects to https://elsewhere/api; the client "
                                      "certificate follows no redirect: correct --serv-addr")));
  }
}

TEST(ParseAnswer, LocationIsMadePrintableAndCut) {
  http::HttpResponse response = Response(302);
  EXPECT_THAT(Parse(response), StatusIs(Code::kFailedPrecondition,
                                        HasSubstr(": the KMS redirects to nowhere; the client")));
  response.location = "https://a/\x1b[31m" + std::string(5000, 'x');
  const auto refused = Parse(response);
  EXPECT_THAT(refused, StatusIs(Code::kFailedPrecondition,
                                AllOf(HasSubstr("https://a/?[31mxxx"), HasSubstr("(5015 bytes)"))));
  EXPECT_LT(refused.status().message().size(), 400u);
}

TEST(ParseAnswer, ErrorResponseInOneLine) {
  const absl::Status refused = Refused(R"({
      "error_id": "0a1b", "error_code": 50462721,
      "errors": ["no such service key", "really"], "request_id": "5c6d"})");
  EXPECT_THAT(refused, StatusIs(Code::kNotFound,
                                "REST encrypt refused: HTTP 404 Not Found: no such service key; "
                                "really (code 0x03020001, REST)"));
  EXPECT_EQ(Message(refused),
            "REST encrypt refused: HTTP 404 Not Found: no such service key; really (code "
            "0x03020001, REST) (request id 5c6d, error id 0a1b)");
}

TEST(ParseAnswer, FailuresForTheSameReasonHaveTheSameMessage) {
  const auto one = Refused(R"({"errors":["no"],"error_id":"1","request_id":"2"})");
  const auto other = Refused(R"({"errors":["no"],"error_id":"3","request_id":"4"})");
  EXPECT_EQ(one.message(), other.message());
  EXPECT_NE(Message(one), Message(other));
}

TEST(ParseAnswer, RetryAfterIsADetail) {
  http::HttpResponse response = Response(429, R"({"request_id":"5c6d"})");
  response.retry_after = std::chrono::seconds(7);
  const absl::Status refused = Parse(response).status();
  EXPECT_THAT(refused,
              StatusIs(Code::kUnavailable, "REST encrypt refused: HTTP 429 Too Many Requests"));
  EXPECT_EQ(Message(refused),
            "REST encrypt refused: HTTP 429 Too Many Requests (request id 5c6d, to be tried again "
            "after 7 s)");
}

TEST(ParseAnswer, ErrorCodesAreTakenApart) {
  const std::pair<int64_t, const char*> cases[] = {
      {0x03020001, "code 0x03020001, REST"},
      {0x03035001, "code 0x03035001, REST, Not Found"},
      {0x01011000, "code 0x01011000, CCM, Internal"},
      {0x02012000, "code 0x02012000, SSM, Argument"},
      {0x03013000, "code 0x03013000, REST, Authentication"},
      {0x04014FFF, "code 0x04014FFF, KMIP, Authorization"},
      {0x05016000, "code 0x05016000, DB, Database"},
      {0x06017000, "code 0x06017000, XLIB, Unavailable"},
      {0x03018000, "code 0x03018000, REST, Bad Argument"},
      {0x03019000, "code 0x03019000, REST, Too many requests"},
      {0x0301A000, "code 0x0301A000, REST, Conflict"},
      {0x0301B000, "code 0x0301B000, REST"},
      {0x0301F000, "code 0x0301F000, REST"},
      {0x07015000, "code 0x07015000, Not Found"},
      {0x00005001, "code 0x00005001, Not Found"},
      {0, "code 0x00000000"},
      {-1, "code 0xFFFFFFFF"},  // an int32 that is negative
      {0xFF035001, "code 0xFF035001, Not Found"},
  };
  for (const auto& [code, text] : cases) {
    EXPECT_THAT(Refused(absl::StrCat(R"({"error_code":)", code, "}")),
                StatusIs(Code::kNotFound,
                         absl::StrCat("REST encrypt refused: HTTP 404 Not Found (", text, ")")));
  }
}

TEST(ParseAnswer, FieldsThatAreMissingOrOfTheWrongTypeAreLeftOut) {
  constexpr char kBare[] = "REST encrypt refused: HTTP 404 Not Found";
  for (const char* body : {
           "{}",
           R"({"errors":null,"error_code":null,"request_id":null,"error_id":null})",
           R"({"errors":"no","error_code":"1","request_id":1,"error_id":["x"]})",
           R"({"errors":{"a":"b"},"error_code":1.5,"request_id":{},"error_id":true})",
           R"({"errors":[],"error_code":true,"request_id":"","error_id":""})",
           R"({"errors":[1,null,{},["x"]],"error_code":[1]})",
           R"({"Errors":["no"],"message":"no"})",
       }) {
    const absl::Status refused = Refused(body);
    EXPECT_THAT(refused, StatusIs(Code::kNotFound, kBare)) << body;
    EXPECT_EQ(Message(refused), kBare) << body;
  }
  EXPECT_THAT(Refused(R"({"errors":[1,"the text",null]})"),
              StatusIs(Code::kNotFound, absl::StrCat(kBare, ": the text")));
  EXPECT_EQ(Message(Refused(R"({"error_id":"0a1b"})")), absl::StrCat(kBare, " (error id 0a1b)"));
}

TEST(ParseAnswer, BodyThatIsNoErrorResponseIsNotRepeated) {
  const struct {
    const char* body;
    const char* type;
    const char* shown;
  } cases[] = {
      {"<html>the secret</html>", "text/html", "text/html"},
      {"the secret", "application/json", "application/json"},
      {"[\"the secret\"]", "application/json", "application/json"},
      {"\"the secret\"", "application/json", "application/json"},
      {"null", "application/json", "application/json"},
      {"{\"errors\":[\"the secret\"]}", "text/plain", "text/plain"},
      {"{\"errors\":[\"the secret\"]}", "", "(none)"},
      {"{\"errors\":[\"\xff\"]}", "application/json", "application/json"},
  };
  for (const auto& [body, type, shown] : cases) {
    EXPECT_THAT(Parse(Response(502, body, type)),
                StatusIs(Code::kUnavailable,
                         absl::StrCat("REST encrypt refused: HTTP 502 Bad Gateway, with a body of "
                                      "type ",
                                      shown)))
        << body;
  }
}

constexpr char kSent[] = R"({"plaintext":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="})";

TEST(ParseAnswer, TextsThatRepeatTheRequestAreLeftOut) {
  for (const char* repeated : {"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", kSent}) {
    EXPECT_THAT(
        Refused(Json{{"errors", {"bad", absl::StrCat("in ", repeated, " is a mistake")}}}.dump(),
                kSent),
        StatusIs(Code::kNotFound,
                 "REST encrypt refused: HTTP 404 Not Found: bad; (a text that repeats the "
                 "request)"));
  }
}

TEST(ParseAnswer, EveryPartOfSixteenBytesCountsAsRepeated) {
  const std::string sent = kSent;
  for (std::size_t i = 0; i + 16 <= sent.size(); ++i) {
    const std::string body = Json{
        {"errors", {"x" + sent.substr(i, 16) + "y"}},
        {"request_id", sent.substr(i, 16)},
        {"error_id", sent}}.dump();
    const absl::Status refused = Refused(body, sent);
    EXPECT_EQ(Message(refused),
              "REST encrypt refused: HTTP 404 Not Found: (a text that repeats the request)")
        << i;
  }
}

TEST(ParseAnswer, FieldsOfTheHeadDoNotRepeatTheRequestEither) {
  const std::string secret = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
  http::HttpResponse response = Response(307);
  response.location = absl::StrCat("https://elsewhere/", secret);
  EXPECT_THAT(Parse(response, kSent),
              StatusIs(Code::kFailedPrecondition,
                       AllOf(HasSubstr("the KMS redirects to "), Not(HasSubstr(secret)))));
  for (const int status : {200, 404}) {
    const auto refused = Parse(Response(status, "x", secret), kSent);
    EXPECT_FALSE(refused.ok());
    EXPECT_THAT(
        Message(refused.status()),
        AllOf(HasSubstr("of type (a text that repeats the request)"), Not(HasSubstr(secret))));
  }
  response = Response(200, "{}");
  response.content_encoding = secret;
  EXPECT_THAT(Parse(response, kSent), StatusIs(Code::kDataLoss, Not(HasSubstr(secret))));
}

// What would be shown counts: a repetition behind the cut gives nothing away.
TEST(ParseAnswer, RepetitionsAreLookedForInWhatIsShown) {
  const std::string text = absl::StrCat(std::string(290, 't'), kSent);
  EXPECT_THAT(Refused(Json{{"errors", {text}}, {"request_id", text}}.dump(), kSent),
              StatusIs(Code::kNotFound,
                       absl::StrCat("REST encrypt refused: HTTP 404 Not Found: ",
                                    text.substr(0, 300), "... (", text.size(), " bytes)")));
  const std::string visible = absl::StrCat(std::string(284, 't'), kSent);
  EXPECT_THAT(Refused(Json{{"errors", {visible}}}.dump(), kSent),
              StatusIs(Code::kNotFound, EndsWith(": (a text that repeats the request)")));
}

// Texts of the size of the largest answer, beside a request as large: seconds of work when each
// part of one is looked for in all of the other.
TEST(ParseAnswer, LongTextsAndRequestsAreGoneThroughOnce) {
  std::string sent = R"({"ciphertext":")";
  for (int i = 0; sent.size() < (1 << 20); ++i) absl::StrAppend(&sent, i, "/");
  const std::string text(1 << 19, '7');
  const std::string body = Json{{"errors", {text}}, {"request_id", text}}.dump();
  for (int i = 0; i < 10; ++i) {
    EXPECT_THAT(Refused(body, sent), StatusIs(Code::kNotFound, HasSubstr("777... (524288 bytes)")));
  }
}

TEST(ParseAnswer, EscapesDoNotHideARepetition) {
  std::string escaped;
  for (const char c : std::string("MDEyMzQ1Njc4OWFi")) {
    absl::StrAppend(&escaped, "\\u00", absl::Hex(c, absl::kZeroPad2));
  }
  EXPECT_THAT(Refused(absl::StrCat(R"({"errors":[")", escaped, R"("]})"), kSent),
              StatusIs(Code::kNotFound, EndsWith(": (a text that repeats the request)")));
}

TEST(ParseAnswer, TextsThatDoNotRepeatTheRequestStay) {
  for (const char* text : {"MDEyMzQ1Njc4OWF", "plaintext: too long", ""}) {
    EXPECT_THAT(Refused(Json{{"errors", {text}}}.dump(), kSent),
                StatusIs(Code::kNotFound,
                         absl::StrCat("REST encrypt refused: HTTP 404 Not Found: ", text)));
  }
}

TEST(ParseAnswer, ControlCharactersAreMadePrintable) {
  const absl::Status refused = Refused(
      "{\"errors\":[\"a\\n\\u001b[31mb\\u0000c\\u00e9\"],\"request_id\":\"r\\nq\","
      "\"error_id\":\"e\\u007f\"}");
  EXPECT_EQ(Message(refused),
            "REST encrypt refused: HTTP 404 Not Found: a??[31mb?c?? (request id r?q, error id e?)");
  for (const char c : Message(Parse(Response(404, "x", "text\r\n/html")).status())) {
    EXPECT_TRUE(c >= 0x20 && c <= 0x7e);
  }
}

TEST(ParseAnswer, LengthsAreBounded) {
  const std::string text(100'000, 't');
  Json errors = Json::array();
  for (int i = 0; i < 20; ++i) errors.push_back(absl::StrCat(i, text));
  const std::string body =
      Json{{"errors", errors}, {"request_id", text}, {"error_id", text}, {"error_code", 1}}.dump();
  const absl::Status refused = Refused(body);
  EXPECT_THAT(refused, StatusIs(Code::kNotFound,
                                AllOf(HasSubstr("0ttt"), HasSubstr("; 3ttt"), Not(HasSubstr("4t")),
                                      HasSubstr("... (100001 bytes); 1t"))));
  EXPECT_LT(Message(refused).size(), 2000u);
  EXPECT_LT(Parse(Response(404, "x", text)).status().message().size(), 300u);
}

}  // namespace
}  // namespace okms::rest
