// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/log_format.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace okms {
namespace {

Event Failed(std::string text, std::string key_id_hash = {}, std::string uid = {}) {
  Event event{Severity::kWarning, EventName::kCallFailed, std::move(text), std::move(key_id_hash),
              std::move(uid)};
  event.time =
      std::chrono::system_clock::time_point(std::chrono::microseconds(1'700'000'000'000'042));
  return event;
}

constexpr char kBegin[] =
    R"({"time":"2023-11-14T22:13:20.000042Z","severity":"warning","event":"call-failed")";

TEST(LogFormat, HasThreeNames) {
  EXPECT_EQ(ParseLogFormat("auto"), LogFormat::kAuto);
  EXPECT_EQ(ParseLogFormat("text"), LogFormat::kText);
  EXPECT_EQ(ParseLogFormat("json"), LogFormat::kJson);
  for (const char* other : {"", "JSON", "journal", "json "}) EXPECT_FALSE(ParseLogFormat(other));
}

TEST(LogFormat, TextIsTheTextAlone) { EXPECT_EQ(TextOf(Failed("why", "sha256:ab", "u-1")), "why"); }

TEST(LogFormat, JsonHasWhatTheEventHas) {
  EXPECT_EQ(JsonOf(Failed("why")), kBegin + std::string(R"(,"message":"why"})"));
  EXPECT_EQ(JsonOf(Failed("why", "sha256:ab", "u-1")),
            kBegin + std::string(R"(,"message":"why","key_id_hash":"sha256:ab","uid":"u-1"})"));
}

TEST(LogFormat, JsonIsOneLineWhateverIsInIt) {
  EXPECT_EQ(JsonOf(Failed("a \"b\" \\ c\n\x01\x7f \xff \xc3\xa9", "", "\"},{\"\n")),
            kBegin + std::string(",\"message\":\"a \\\"b\\\" \\\\ c??? ? \xc3\xa9\","
                                 "\"uid\":\"\\\"},{\\\"?\"}"));
}

}  // namespace
}  // namespace okms
