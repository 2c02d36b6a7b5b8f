// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// audit --plan: what a plan is made from beside what stands in etcd.

#ifndef OKMS_CTL_PLAN_H_
#define OKMS_CTL_PLAN_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "audit/plan.h"
#include "ctl/sources.h"

namespace CLI {
class App;
}

namespace okms::ctl {

struct PlanOptions {
  bool wanted = false;
  std::string kubernetes;
  std::vector<std::string> metrics;  // files
};

// --plan, --kubernetes and --apiserver-metrics.
void AddPlan(CLI::App& command, PlanOptions& options);

// `key`: of --fail-unless-key; empty: the plugin at `places` is asked, and where none was named and
// none answers, what was written last counts. Errors: kInvalidArgument, a line that begins with the
// option; else the plugin that was named does not say its key.
absl::StatusOr<audit::PlanInput> PlanInputOf(const PlanOptions& options, const std::string& key,
                                             const Places& places);

}  // namespace okms::ctl

#endif  // OKMS_CTL_PLAN_H_
