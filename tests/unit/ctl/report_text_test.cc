// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "ctl/report_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace okms::ctl {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(SpanTextTest, HasTheTwoLargestUnits) {
  EXPECT_EQ(SpanText(0), "0 s");
  EXPECT_EQ(SpanText(-5), "0 s");
  EXPECT_EQ(SpanText(59.9), "59 s");
  EXPECT_EQ(SpanText(60), "1 min");
  EXPECT_EQ(SpanText(61), "1 min 1 s");
  EXPECT_EQ(SpanText(3605), "1 h");
  EXPECT_EQ(SpanText(29.0 * 86400 + 3 * 3600 + 59), "29 d 3 h");
  EXPECT_THAT(SpanText(std::numeric_limits<double>::infinity()), HasSubstr(" d"));
}

constexpr char kWell[] =
    R"({"ready":true,"reason":"","code":"OK","version":"1.2.3","protocol":"kmip",
  "now":1000,"started":900,"key":{"id":"key-1","id_hash":"sha256:12","label_proven":true},
  "candidate":null,"last_good_check_age_seconds":4.2,"last_answer_age_seconds":null,
  "hosts":[{"name":"one:5696","up":true,"trouble":"","age_seconds":7200},
           {"name":"two:5696","up":false,"trouble":"no answer","age_seconds":120}],
  "certificates":[{"file":"--client-cert","path":"/c.pem","not_after":0,"left_seconds":-60},
                  {"file":"--ca","path":"/ca.pem","not_after":86400,"left_seconds":86400}],
  "reload":{"trouble":"it expired","succeeded":1,"failed":2},"sandbox":"all of it",
  "state":"serving","changes":[{"event":"key","age_seconds":65,"text":"key adopted"}]})";

TEST(ReportTextTest, SaysAllThatIsKnown) {
  EXPECT_EQ(ReportText(*ParseReport(kWell), "/s.sock"),
            "ready\n"
            "state         serving\n"
            "key           key-1\n"
            "              sha256:12\n"
            "hosts         one:5696  up for 2 h\n"
            "              two:5696  DOWN for 2 min: no answer\n"
            "good check    4 s ago\n"
            "certificates  EXPIRED 1 min ago, until 1970-01-01 00:00 UTC  --client-cert /c.pem\n"
            "              1 d left, until 1970-01-02 00:00 UTC  --ca /ca.pem\n"
            "reload        it expired\n"
            "sandbox       all of it\n"
            "plugin        1.2.3, kmip, started 1 min 40 s ago\n"
            "asked at      /s.sock\n"
            "changes       1 min 5 s ago  key adopted\n");
  EXPECT_EQ(BriefText(*ParseReport(kWell)),
            "ready, key sha256:12, 1 of 2 hosts up, certificate EXPIRED 1 min ago");
}

TEST(ReportTextTest, SaysFromWhenACertificateIsValid) {
  const Json report = *ParseReport(
      R"({"ready":true,"now":3600,"certificates":[{"file":"--ca","path":"/ca.pem",
          "not_before":0,"not_after":7200,"left_seconds":3600},{"file":"--client-cert",
          "path":"/c.pem","not_before":90000,"not_after":172800,"left_seconds":169200}]})");
  EXPECT_EQ(ReportText(report, "/s.sock"),
            "ready\n"
            "certificates  1 h left, until 1970-01-01 02:00 UTC  --ca /ca.pem\n"
            "              NOT VALID YET, in 1 d, from 1970-01-02 01:00 UTC, until "
            "1970-01-03 00:00 UTC  --client-cert /c.pem\n"
            "asked at      /s.sock\n");
  EXPECT_EQ(BriefText(report), "ready, certificate NOT VALID YET, in 1 d");
}

TEST(ReportTextTest, SaysWhyItIsNotReady) {
  const Json report = *ParseReport(
      R"({"ready":false,"reason":"no \u001b[2J answer","code":"UNAVAILABLE","key":{"id":""},
          "candidate":{"id_hash":"","works":false,"text":"the label fits no key","age_seconds":3}})");
  EXPECT_EQ(BriefText(report), "NOT READY: UNAVAILABLE: no ?[2J answer");
  EXPECT_THAT(ReportText(*ParseReport(R"({"ready":false})"), "/s.sock"), Not(HasSubstr("key")));
  EXPECT_EQ(ReportText(report, "/s.sock"),
            "NOT READY: UNAVAILABLE: no ?[2J answer\n"
            "key           none yet\n"
            "candidate     no key for 3 s: the label fits no key\n"
            "asked at      /s.sock\n");
}

TEST(ReportTextTest, DoesNotStumbleOverAnotherShape) {
  for (const char* const text :
       {R"({"ready":true})", R"({"ready":true,"hosts":{"a":1},"certificates":[1,null,"x",[]]})",
        R"({"ready":true,"hosts":[1],"key":"x","candidate":[1],"reload":7,"changes":[{}]})",
        R"({"ready":true,"certificates":[{"not_after":1e300,"left_seconds":1e300}]})"}) {
    EXPECT_THAT(ReportText(*ParseReport(text), "/s.sock"), StartsWith("ready\n")) << text;
    EXPECT_THAT(BriefText(*ParseReport(text)), AllOf(StartsWith("ready"), Not(HasSubstr("\n"))));
  }
}

}  // namespace
}  // namespace okms::ctl
