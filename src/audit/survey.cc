// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "audit/survey.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace okms::audit {
namespace {

absl::StatusOr<Survey> ReadOnce(Store& store, const Scope& scope,
                                std::span<Observer* const> observers) {
  OKMS_ASSIGN_OR_RETURN(Extent extent, store.Open(scope));
  Survey survey{scope, std::move(extent), Tally(scope.prefix), {}};
  for (Observer* const observer : observers) observer->Begin(survey.extent);
  OKMS_RETURN_IF_ERROR(store.Read([&](const StoredValue& value) {
    const Envelope envelope = ReadEnvelope(value.value);
    survey.tally.Add(value, envelope);
    survey.calendar.Add(value, envelope.kind);
    for (Observer* const observer : observers) observer->See(value, envelope);
    return absl::OkStatus();
  }));
  survey.calendar.Settle();
  return survey;
}

}  // namespace

absl::StatusOr<Survey> TakeSurvey(Store& store, const Scope& scope,
                                  std::span<Observer* const> observers) {
  absl::StatusOr<Survey> survey = ReadOnce(store, scope, observers);
  if (!absl::IsOutOfRange(survey.status())) return survey;
  survey = ReadOnce(store, scope, observers);
  if (survey.ok()) survey->restarted = true;
  if (!absl::IsOutOfRange(survey.status())) return survey;
  return Append(survey.status(),
                "again, from a newer revision: compact less often meanwhile, or take a snapshot");
}

}  // namespace okms::audit
