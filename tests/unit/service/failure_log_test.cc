// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "service/failure_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "core/key_id_hash.h"

namespace okms {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class FailureLogTest : public ::testing::Test {
 protected:
  void Fail(const std::string& uid, const std::string& key, const std::string& why = "away") {
    failures_->Add("Decrypt", uid, key, absl::UnavailableError(why), now_);
  }

  std::vector<std::string> lines_;
  std::vector<Event> events_;
  const Logger log_{false, [this](const Event& event) {
                      EXPECT_EQ(event.severity, Severity::kWarning);
                      lines_.push_back(event.text);
                      events_.push_back(event);
                    }};
  std::optional<FailureLog> failures_{std::in_place, log_};
  Deadline now_ = Clock::now();
};

TEST_F(FailureLogTest, NamesTheKeyOfTheRecord) {
  Fail("u-1", "key-1");
  EXPECT_THAT(lines_, ElementsAre("Decrypt failed (uid u-1, key key-1): UNAVAILABLE: away"));
}

TEST_F(FailureLogTest, FieldsNameTheRequestAndTheKey) {
  Fail("u\n1", "key-1");
  Fail("u\n1", "key-1");
  failures_.reset();
  ASSERT_THAT(events_, SizeIs(2));
  EXPECT_EQ(events_[0].name, EventName::kCallFailed);
  EXPECT_EQ(events_[0].uid, "u?1");
  EXPECT_EQ(events_[0].key_id_hash, KeyIdHash("key-1"));
  EXPECT_EQ(events_[1].name, EventName::kCallsFailed);
  EXPECT_EQ(events_[1].uid, "");
}

TEST_F(FailureLogTest, WithoutAKey) {
  failures_->Add("Encrypt", "u-1", "", absl::InternalError("why"), now_);
  failures_->Add("Encrypt", "u-1", "", absl::InternalError("why"), now_);
  failures_.reset();
  EXPECT_THAT(lines_, ElementsAre("Encrypt failed (uid u-1): INTERNAL: why",
                                  "Encrypt failed: INTERNAL: why (and 1 more in the last minute)"));
}

TEST_F(FailureLogTest, EqualOnesAreCountedAndSaidWhenTheMinuteIsOver) {
  for (int i = 0; i < 800; ++i) Fail("u-1", "key-1");
  EXPECT_THAT(lines_, SizeIs(1));
  EXPECT_EQ(failures_->folded(), 799);
  failures_->Tick(now_ + 59s);
  EXPECT_THAT(lines_, SizeIs(1));
  failures_->Tick(now_ + 60s);
  failures_->Tick(now_ + 200s);
  EXPECT_THAT(lines_, ElementsAre("Decrypt failed (uid u-1, key key-1): UNAVAILABLE: away",
                                  "Decrypt failed (key key-1): UNAVAILABLE: away (and 799 more in "
                                  "the last minute)"));
}

TEST_F(FailureLogTest, OfAKindOnlyTheFirstFewUidsAreWritten) {
  for (int i = 0; i < 800; ++i) Fail(absl::StrCat("u-", i), "key-1");
  EXPECT_THAT(lines_, SizeIs(FailureLog::kLinesOfAKind));
  failures_->Tick(now_ + 60s);
  EXPECT_EQ(lines_.back(),
            "Decrypt failed (key key-1): UNAVAILABLE: away (and 795 more in the last minute)");
}

// A request's id, for one, which is another one each time.
TEST_F(FailureLogTest, DetailOfAFailureMakesNoKind) {
  for (int i = 0; i < 800; ++i) {
    failures_->Add("Decrypt", "u", "key-1",
                   WithDetail(absl::UnavailableError("away"), absl::StrCat("request ", i)), now_);
  }
  EXPECT_THAT(lines_, SizeIs(FailureLog::kLinesOfAKind));
  EXPECT_EQ(lines_[0], "Decrypt failed (uid u, key key-1): UNAVAILABLE: away (request 0)");
}

TEST_F(FailureLogTest, EachKeyAndReasonIsSaid) {
  for (int i = 0; i < 2; ++i) {
    Fail("u-1", "key-1");
    Fail("u-1", "key-2");
    Fail("u-1", "key-1", "no such object");
  }
  EXPECT_THAT(lines_, SizeIs(3));
  failures_->Tick(now_ + 60s);
  EXPECT_THAT(lines_, SizeIs(6));
}

TEST_F(FailureLogTest, NumberOfKindsIsBounded) {
  for (int i = 0; i < 800; ++i) Fail("u-1", absl::StrCat("key-", i));
  EXPECT_THAT(lines_, SizeIs(FailureLog::kKinds));
  failures_->Tick(now_ + 60s);
  ASSERT_THAT(lines_, SizeIs(FailureLog::kKinds + 1));
  EXPECT_EQ(lines_.back(),
            "780 more calls failed in the last minute, for reasons or with keys "
            "that differ from those above");
}

TEST_F(FailureLogTest, NextMinuteBeginsAnew) {
  Fail("u-1", "key-1");
  now_ += 60s;
  Fail("u-1", "key-1");
  EXPECT_THAT(lines_, SizeIs(2));
  failures_->Tick(now_ + 60s);
  EXPECT_THAT(lines_, SizeIs(2)) << "there was nothing to add";
}

TEST_F(FailureLogTest, WhatWasCountedIsSaidAtTheEnd) {
  Fail("u-1", "key-1");
  Fail("u-1", "key-1");
  lines_.clear();
  failures_.reset();
  EXPECT_THAT(lines_, ElementsAre("Decrypt failed (key key-1): UNAVAILABLE: away (and 1 more in "
                                  "the last minute)"));
}

TEST_F(FailureLogTest, TextOfThePeerIsMadeFitForALine) {
  Fail("u\n1", std::string(1000, 'k'));
  EXPECT_THAT(lines_,
              ElementsAre(absl::StrCat("Decrypt failed (uid u?1, key ", std::string(80, 'k'),
                                       "... (1000 bytes)): UNAVAILABLE: away")));
}

}  // namespace
}  // namespace okms
