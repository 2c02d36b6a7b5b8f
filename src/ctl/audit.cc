// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include <sys/prctl.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "audit/etcd.h"
#include "audit/findings.h"
#include "audit/report.h"
#include "audit/snapshot.h"
#include "audit/survey.h"
#include "base/status.h"
#include "config/help_text.h"
#include "ctl/plan.h"
#include "ctl/progress.h"
#include "ctl/prove.h"
#include "ctl/report.h"
#include "ctl/resource_name.h"
#include "ctl/sources.h"
#include "ctl/subcommand.h"

namespace okms::ctl {
namespace {

struct Options {
  audit::EtcdOptions etcd;
  std::string snapshot;
  audit::Scope scope;
  std::string key;
  std::string plaintext;
  bool fail_on_plaintext = false;
  std::string round_trip;
  ProveOptions prove;
  PlanOptions plan;
  Places places;
  bool verbose = false;
  Output output = Output::kText;
};

// As the table shows one, which no key would fit.
bool IsShortHash(absl::string_view key) {
  if (!absl::ConsumePrefix(&key, "sha256:") || key.empty() || key.size() >= 64) return false;
  return std::all_of(key.begin(), key.end(),
                     [](char c) { return absl::ascii_isxdigit(static_cast<unsigned char>(c)); });
}

absl::StatusOr<audit::Demands> DemandsOf(const Options& options) {
  if (IsShortHash(options.key)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--fail-unless-key ", options.key, ": a short hash; give all 64 digits, or the id"));
  }
  audit::Demands demands;
  demands.key = options.key;
  demands.no_plaintext = options.fail_on_plaintext;
  auto resources = ParseResources(options.plaintext);
  if (!resources.ok()) return Annotate(resources.status(), "--fail-on-plaintext");
  demands.no_plaintext_of = *std::move(resources);
  if (options.round_trip.empty()) return demands;
  absl::Duration round_trip;
  if (!absl::ParseDuration(options.round_trip, &round_trip) || round_trip <= absl::ZeroDuration() ||
      round_trip > absl::Minutes(10)) {
    return absl::InvalidArgumentError(absl::StrCat("--round-trip ", Printable(options.round_trip),
                                                   ": no duration; give for example 20ms"));
  }
  demands.round_trip = round_trip;
  return demands;
}

absl::StatusOr<std::unique_ptr<audit::Store>> OpenStore(const Options& options) {
  const audit::EtcdOptions& etcd = options.etcd;
  if (options.snapshot.empty() == etcd.endpoints.empty()) {
    return absl::InvalidArgumentError("give --endpoints or --snapshot, one of them");
  }
  if (options.snapshot.empty()) return audit::OpenEtcd(etcd);
  if (!etcd.ca.empty() || !etcd.cert.empty() || !etcd.key.empty()) {
    return absl::InvalidArgumentError(
        "--etcd-cacert, --etcd-cert and --etcd-key are for --endpoints");
  }
  return audit::OpenSnapshot(options.snapshot);
}

int Failed(const absl::Status& status) {
  Complain(status.message());
  return absl::IsInvalidArgument(status) ? kUsageError : kCannotTell;
}

// All that is said.
struct Result {
  audit::Survey survey;
  std::optional<audit::Proof> proof;
  std::optional<audit::Plan> plan;
  std::vector<audit::Finding> findings;
};

std::string Shown(const Result& result, ExitCode code, const Options& options) {
  if (options.output == Output::kText) {
    return absl::StrCat(result.plan ? AsText(*result.plan) + "\n" : "",
                        AsText(result.survey, result.findings, options.verbose));
  }
  Json report = AsJson(result.survey, result.findings);
  if (result.proof) report["proof"] = AsJson(*result.proof);
  if (result.plan) report["plan"] = AsJson(*result.plan);
  report["exit_code"] = static_cast<int>(code);
  // Nothing but ASCII: a terminal shows it as it is.
  return report.dump(2, ' ', true, Json::error_handler_t::replace) + "\n";
}

absl::StatusOr<Result> Examine(const Options& options) {
  OKMS_ASSIGN_OR_RETURN(audit::Demands demands, DemandsOf(options));
  OKMS_ASSIGN_OR_RETURN(const std::unique_ptr<audit::Store> store, OpenStore(options));
  OKMS_ASSIGN_OR_RETURN(audit::PlanInput input,
                        PlanInputOf(options.plan, options.key, options.places));
  OKMS_ASSIGN_OR_RETURN(const std::unique_ptr<audit::Prover> prover,
                        NewProver(options.prove, options.places));

  Progress progress;
  std::vector<audit::Observer*> observers{&progress};
  if (prover != nullptr) observers.push_back(prover.get());
  ProvenStore proven(*store, prover.get());
  absl::StatusOr<audit::Survey> survey = audit::TakeSurvey(proven, options.scope, observers);
  // Whatever it says, the command line was right.
  if (!survey.ok()) return WithCode(survey.status(), absl::StatusCode::kUnavailable);
  Result result{*std::move(survey), {}, {}, {}};
  if (prover != nullptr) {
    OKMS_ASSIGN_OR_RETURN(result.proof, prover->Finish());
    if (!demands.round_trip && !result.proof->good.empty()) {
      demands.round_trip = result.proof->median;
    }
    result.findings = FindingsOf(*result.proof);
  }
  for (audit::Finding& finding : FindingsOf(result.survey, demands)) {
    result.findings.push_back(std::move(finding));
  }
  std::stable_partition(result.findings.begin(), result.findings.end(),
                        [](const audit::Finding& finding) { return finding.wrong; });
  if (options.plan.wanted) {
    input.freed_pages = !options.snapshot.empty() && options.scope.history;
    result.plan = MakePlan(result.survey, input);
  }
  return result;
}

int Audit(const Options& options) {
  // Plain Secrets and seeds pass through; a core file would have them, and so would another process
  // of this user that looks into this one.
  ::prctl(PR_SET_DUMPABLE, 0);
  const absl::StatusOr<Result> result = Examine(options);
  if (!result.ok()) return Failed(result.status());
  const std::vector<audit::Finding>& findings = result->findings;
  const bool wrong = std::any_of(findings.begin(), findings.end(),
                                 [](const audit::Finding& finding) { return finding.wrong; });
  const ExitCode code = wrong ? kFindings : kGood;
  return Print(Shown(*result, code, options)) ? code : kCannotTell;
}

void AddSource(CLI::App& command, Options& options) {
  audit::EtcdOptions& etcd = options.etcd;
  command.add_option(
      "--endpoints", etcd.endpoints,
      Wrapped("Where etcd is: https://host:port, several of one cluster with commas"));
  command.add_option(
      "--etcd-cacert", etcd.ca,
      Wrapped("PEM file of the CA that signed etcd's certificates. Default: the system's roots"));
  command.add_option("--etcd-cert", etcd.cert,
                     Wrapped("PEM file of the certificate to show etcd; where etcd has users, its "
                             "CN is one that may read the prefix"));
  command.add_option("--etcd-key", etcd.key, Wrapped("PEM file of its key"));
  command.add_option(
      "--snapshot", options.snapshot,
      Wrapped("A file of etcd's in place of --endpoints: a snapshot, or the database "
              "of one that does not run"));
}

void AddDemands(CLI::App& command, Options& options) {
  command.add_option("--fail-unless-key", options.key,
                     Wrapped("Exit with 1 unless all that is encrypted is so under this key id "
                             "(or its hash, sha256:...)"));
  command
      .add_option("--fail-on-plaintext", options.plaintext,
                  Wrapped("Exit with 1 when one of these resources, with commas between, is in "
                          "plain text. Default: secrets, and those encrypted in part"))
      ->expected(0, 1);
}

}  // namespace

void AddAudit(CLI::App& app, Run& run) {
  CLI::App* const command = app.add_subcommand(
      "audit", "Say by which keys what stands in etcd is encrypted, and what is not");
  const auto options = std::make_shared<Options>();
  AddSource(*command, *options);
  command->add_option("--prefix", options->scope.prefix,
                      Wrapped("What the keys to read begin with. Default: /registry/"));
  command->add_flag("--history", options->scope.history,
                    Wrapped("Read old revisions, too: all that etcd has not compacted yet; of a "
                            "snapshot also what stands on freed pages"));
  AddDemands(*command, *options);
  command->add_option("--round-trip", options->round_trip,
                      Wrapped("How long a Decrypt takes, such as 20ms, to say how long a "
                              "kube-apiserver takes to start"));
  AddProve(*command, options->prove);
  AddPlan(*command, options->plan);
  AddSocketPlace(*command, options->places);
  command->add_flag("--verbose", options->verbose,
                    Wrapped("Name the first few objects of each finding, and all resources"));
  AddOutput(*command, options->output);
  command->callback([command, options, &run] {
    options->fail_on_plaintext = command->count("--fail-on-plaintext") > 0;
    run = [options] { return Audit(*options); };
  });
}

}  // namespace okms::ctl
