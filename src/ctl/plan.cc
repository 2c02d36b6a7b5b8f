// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "ctl/plan.h"

#include <chrono>
#include <cstddef>
#include <fstream>
#include <utility>

#include <CLI/CLI.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/deadline.h"
#include "base/status.h"
#include "config/help_text.h"
#include "ctl/connection.h"
#include "doctor/kms_status.h"

namespace okms::ctl {
namespace {

constexpr std::chrono::seconds kPatience{5};
constexpr std::size_t kLargestMetrics = 64 << 20;  // bytes; a large cluster has some 10 MiB
constexpr char kMetrics[] = "--apiserver-metrics";

absl::StatusOr<audit::Apiserver> ApiserverOf(const std::string& path) {
  if (absl::StrContains(path, "://")) {
    return absl::InvalidArgumentError(
        absl::StrCat(kMetrics, " ", PrintableAddress(path),
                     ": no file; save each with kubectl --server URL get --raw /metrics > FILE"));
  }
  std::ifstream file(path, std::ios::binary);  // a pipe will do
  std::string text(kLargestMetrics, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (!file.eof()) {
    return absl::InvalidArgumentError(absl::StrCat(
        kMetrics, " ", Printable(path), ": it cannot be read, or is over 64 MiB; give a file"));
  }
  auto apiserver = audit::ReadApiserver(path, text);
  if (!apiserver.ok()) return Annotate(apiserver.status(), kMetrics);
  return apiserver;
}

absl::StatusOr<std::string> KeyOf(const SocketAddress& plugin) {
  const Deadline deadline = Clock::now() + kPatience;
  OKMS_ASSIGN_OR_RETURN(UniqueFd connection, Connect(plugin, deadline));
  OKMS_ASSIGN_OR_RETURN(const doctor::KmsStatus status,
                        doctor::AskStatus(std::move(connection), deadline));
  OKMS_RETURN_IF_ERROR(status.Verdict());
  return status.key_id;
}

}  // namespace

void AddPlan(CLI::App& command, PlanOptions& options) {
  command.add_flag("--plan", options.wanted,
                   Wrapped("Say what to do next until all is under one key: that of "
                           "--fail-unless-key, or the plugin's, or the one written last"));
  command.add_option("--kubernetes", options.kubernetes,
                     Wrapped("The cluster's version, such as 1.37, for what it can do by itself"));
  command
      .add_option(kMetrics, options.metrics,
                  Wrapped("A file with what a kube-apiserver has at /metrics, for whether it "
                          "has the key; once for each of them"))
      ->type_size(1)
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

absl::StatusOr<audit::PlanInput> PlanInputOf(const PlanOptions& options, const std::string& key,
                                             const Places& places) {
  audit::PlanInput input;
  if (!options.kubernetes.empty()) {
    auto version = audit::ParseVersion(options.kubernetes);
    if (!version.ok()) return Annotate(version.status(), "--kubernetes");
    input.kubernetes = *version;
  }
  for (const std::string& path : options.metrics) {
    OKMS_ASSIGN_OR_RETURN(audit::Apiserver apiserver, ApiserverOf(path));
    input.apiservers.push_back(std::move(apiserver));
  }
  if (!options.wanted) {
    if (options.kubernetes.empty() && options.metrics.empty()) return input;
    return absl::InvalidArgumentError(
        "--kubernetes and --apiserver-metrics are for --plan; give it, too");
  }
  if (!key.empty()) {
    input.target = key;
    input.origin = "the one of --fail-unless-key";
    return input;
  }
  OKMS_ASSIGN_OR_RETURN(const SocketAddress plugin, SocketOf(places));
  const absl::StatusOr<std::string> of_plugin = KeyOf(plugin);
  if (of_plugin.ok()) {
    input.target = *of_plugin;
    input.origin = "the one that the plugin has";
  } else if (!places.socket.empty() || !places.instance.empty()) {
    return Annotate(of_plugin.status(), absl::StrCat("the plugin at ", plugin.ToString(),
                                                     " does not say which key it has"));
  }
  return input;
}

}  // namespace okms::ctl
