// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "app/status_pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "app/readiness.h"
#include "core/key_id_hash.h"

namespace okms {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

const Deadline kStart{1000s};

Health Well() {
  Health health;
  health.key_id = "key-1";
  return health;
}

Health Away() {
  Health health = Well();
  health.status = absl::UnavailableError("connect: Connection refused");
  return health;
}

TEST(ReadinessTest, IsThatOfStatus) {
  Readiness readiness;
  EXPECT_TRUE(readiness.At(Well(), "", kStart).status.ok());
  EXPECT_EQ(readiness.At(Away(), "", kStart).status, Away().status);
  // Nobody hears that all is well.
  EXPECT_EQ(readiness.At(Well(), "NOBODY CAN CONNECT", kStart).status,
            absl::UnavailableError("NOBODY CAN CONNECT"));
}

TEST(ReadinessTest, CountsFromTheChange) {
  Readiness readiness;
  readiness.At(Well(), "", kStart);
  EXPECT_EQ(readiness.At(Well(), "", kStart + 7s).since, kStart);
  EXPECT_EQ(readiness.At(Away(), "", kStart + 8s).since, kStart + 8s);
  EXPECT_EQ(readiness.At(Away(), "", kStart + 9s).since, kStart + 8s);
  EXPECT_EQ(readiness.At(Well(), "", kStart + 10s).since, kStart + 10s);
}

TEST(StatusPagesTest, ReadySaysSinceWhenAndWithWhichKey) {
  const HttpReply reply = ReadyPage({absl::OkStatus(), "key-1", kStart}, kStart + 42s);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.type, "application/json");
  EXPECT_EQ(reply.body, "{\"ready\":true,\"reason\":\"\",\"since_seconds\":42,\"key_id_hash\":\"" +
                            KeyIdHash("key-1") + "\"}\n");
}

TEST(StatusPagesTest, NotReadySaysWhy) {
  const HttpReply reply =
      ReadyPage({absl::UnavailableError("a \"reason\"\n\xff"), "", kStart}, kStart);
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.body,
            "{\"ready\":false,\"reason\":\"a \\\"reason\\\"??\",\"since_seconds\":0,"
            "\"key_id_hash\":\"\"}\n");
}

TEST(StatusPagesTest, EachPathHasItsPage) {
  absl::Status status;
  const HttpPages pages = StatusPages(
      [&] {
        return Verdict{status, "key-1", kStart};
      },
      {{"/more", [] {
          return HttpReply{200, "text/x", "more"};
        }}});
  EXPECT_EQ(pages("/livez").status, 200);
  EXPECT_EQ(pages("/livez").body, "ok\n");
  EXPECT_EQ(pages("/readyz").status, 200);
  EXPECT_EQ(pages("/more").body, "more");
  status = absl::UnavailableError("away");
  EXPECT_EQ(pages("/livez").status, 200);
  EXPECT_EQ(pages("/readyz").status, 503);
  for (const char* path : {"/", "", "/livez/", "/LIVEZ", "livez", "/readyz/etcd"}) {
    EXPECT_EQ(pages(path).status, 404) << path;
    EXPECT_THAT(pages(path).body, HasSubstr("/readyz\n"));
  }
}

}  // namespace
}  // namespace okms
