// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// One reading of a store, and what came of it.

#ifndef OKMS_AUDIT_SURVEY_H_
#define OKMS_AUDIT_SURVEY_H_

#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "audit/calendar.h"
#include "audit/envelope.h"
#include "audit/store.h"
#include "audit/tally.h"

namespace okms::audit {

// Sees all values beside the tally.
class Observer {
 public:
  virtual ~Observer() = default;

  // Before the first value; once more where the reading begins anew, and what was seen is void.
  virtual void Begin(const Extent& extent) = 0;
  virtual void See(const StoredValue& value, const Envelope& envelope) = 0;
};

struct Survey {
  Scope scope;
  Extent extent;
  Tally tally;
  Calendar calendar;       // settled
  bool restarted = false;  // etcd compacted the revision away, so it was read at a newer one
};

// Blocks. Errors: as Store's; kOutOfRange when that came twice.
absl::StatusOr<Survey> TakeSurvey(Store& store, const Scope& scope,
                                  std::span<Observer* const> observers);

}  // namespace okms::audit

#endif  // OKMS_AUDIT_SURVEY_H_
