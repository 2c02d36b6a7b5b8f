// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/annotated_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>

#include "support/status_is.h"

namespace okms {
namespace {

using test::StatusIs;
using Code = absl::StatusCode;

// What each of the four calls fails with.
std::array<absl::Status, 4> Outcomes(Backend& backend) {
  std::array<absl::Status, 4> outcomes;
  const Deadline deadline = Clock::now() + std::chrono::seconds(1);
  backend.Locate(
      "label", [&] { return deadline; }, [&](auto result) { outcomes[0] = result.status(); });
  backend.Inspect("key", deadline, [&](auto result) { outcomes[1] = result.status(); });
  backend.Encrypt(Way::kEncrypts, "key", Secret(AsBytes("x")), deadline,
                  [&](auto result) { outcomes[2] = result.status(); });
  backend.Decrypt(Way::kChecks, "key", Ciphertext{}, deadline,
                  [&](auto result) { outcomes[3] = result.status(); });
  return outcomes;
}

std::array<absl::Status, 4> Annotated(const absl::Status& status, const std::string& remark) {
  AnnotatedBackend backend(std::make_unique<NoBackend>(status), [remark] { return remark; });
  return Outcomes(backend);
}

TEST(AnnotatedBackendTest, FailuresToReachTheKmsEndWithTheRemark) {
  for (const Code code : {Code::kUnavailable, Code::kUnauthenticated}) {
    for (const absl::Status& outcome : Annotated(absl::Status(code, "refused"), "expired")) {
      EXPECT_THAT(outcome, StatusIs(code, "refused; expired"));
    }
  }
}

TEST(AnnotatedBackendTest, WhatTheKmsAnswersStaysAsItIs) {
  for (const Code code : {Code::kNotFound, Code::kPermissionDenied, Code::kFailedPrecondition,
                          Code::kDeadlineExceeded, Code::kCancelled, Code::kDataLoss}) {
    for (const absl::Status& outcome : Annotated(absl::Status(code, "no"), "expired")) {
      EXPECT_THAT(outcome, StatusIs(code, "no"));
    }
  }
}

TEST(AnnotatedBackendTest, WithoutARemarkNothingIsAdded) {
  for (const absl::Status& outcome : Annotated(absl::UnavailableError("away"), "")) {
    EXPECT_THAT(outcome, StatusIs(Code::kUnavailable, "away"));
  }
}

}  // namespace
}  // namespace okms
