// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The verdict, as Status of KMS v2 gives it, without waiting, and since when it has been so; and
// that nobody can ask for it.

#ifndef OKMS_APP_READINESS_H_
#define OKMS_APP_READINESS_H_

#include <string>

#include "absl/status/status.h"
#include "base/deadline.h"
#include "core/health.h"

namespace okms {

struct Verdict {
  absl::Status status;  // OK: ready
  std::string key_id;   // of the adopted key; empty when there is none yet
  Deadline since;       // since when it has been ready, or not
};

// Asks nobody: the state is what calls and checks have seen. For one thread.
class Readiness {
 public:
  // How it is by `health`, as of `now`, in the order of time. `unreachable`: why nobody can
  // connect; empty: they can. "Since" is as exact as this is called often.
  Verdict At(const Health& health, const std::string& unreachable, Deadline now);

 private:
  bool ready_ = false;
  Deadline since_ = Clock::now();
};

}  // namespace okms

#endif  // OKMS_APP_READINESS_H_
