// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include <nlohmann/json.hpp>
#include <utility>

#include "audit/plan.h"

namespace okms::audit {

nlohmann::ordered_json AsJson(const Plan& plan) {
  using Json = nlohmann::ordered_json;
  Json report{{"step", std::string(ToString(plan.step))}, {"verdict", plan.verdict}};
  if (!plan.target.empty()) {
    report["target"] = plan.target;
    report["target_origin"] = plan.origin;
  }
  if (!plan.when.empty()) report["when"] = plan.when;
  report["rewrites"] = Json::array();
  for (const Rewrite& rewrite : plan.rewrites) {
    Json one{{"resource", rewrite.resource}, {"objects", rewrite.objects}};
    if (!rewrite.command.empty()) one["command"] = rewrite.command;
    if (!rewrite.manifest.empty()) one["manifest"] = rewrite.manifest;
    report["rewrites"].push_back(std::move(one));
  }
  report["notes"] = plan.notes;
  return report;
}

}  // namespace okms::audit
