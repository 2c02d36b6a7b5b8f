// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A survey that a test fills.

#ifndef OKMS_TESTS_UNIT_AUDIT_FILLED_SURVEY_H_
#define OKMS_TESTS_UNIT_AUDIT_FILLED_SURVEY_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "audit/envelope.h"
#include "audit/survey.h"
#include "unit/audit/values.h"

namespace okms::audit {

class FilledSurveyTest : public testing::Test {
 protected:
  // `key`: below /registry/.
  void Add(const std::string& key, const std::string& value, std::int64_t revision,
           Standing standing = Standing::kLive) {
    const std::string path = absl::StrCat("/registry/", key);
    const StoredValue stored = At(path, value, revision, standing);
    const Envelope envelope = ReadEnvelope(value);
    survey.tally.Add(stored, envelope);
    survey.calendar.Add(stored, envelope.kind);
  }

  Survey survey{{}, {}, Tally("/registry/"), {}};
};

}  // namespace okms::audit

#endif  // OKMS_TESTS_UNIT_AUDIT_FILLED_SURVEY_H_
