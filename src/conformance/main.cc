// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// okms-kms-conformance: holds a KMS v2 plugin, ours or another, against the contract.

#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <set>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/log.h"
#include "config/help_text.h"
#include "config/wrong_argument.h"
#include "conformance/case.h"
#include "conformance/process.h"
#include "conformance/report.h"
#include "conformance/run.h"
#include "conformance/target.h"
#include "version.h"

namespace okms::conformance {
namespace {

struct Options {
  Request request;
  std::string patience;
  std::vector<std::string> named;
  bool list = false;
  bool json = false;
};

void Complain(absl::string_view line) {
  std::fputs(absl::StrCat("okms-kms-conformance: ", line, "\n").c_str(), stderr);
}

bool Print(const std::string& text) {
  return std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
}

void AddOptions(CLI::App& app, Options& options) {
  Request& request = options.request;
  app.add_option("--socket", request.socket,
                 Wrapped("Where the plugin serves: /path or @name (required)"));
  app.add_option("--plugin", request.plugin,
                 Wrapped("A command that runs the plugin, for the cases that start and end it"));
  app.add_option("--kms", request.kms,
                 Wrapped("A command that runs its KMS, for the cases that stop it"));
  app.add_flag("--kms-counts", request.kms_counts,
               Wrapped("The KMS says how often it was asked for what when it is sent SIGUSR1"));
  app.add_option("--rotate", request.rotate,
                 Wrapped("A command after which another key is to be used"));
  app.add_option("--patience", options.patience,
                 Wrapped("How long the plugin has to notice what has changed. Default: 60s"));
  app.add_option("--only", options.named, Wrapped("Look at this case alone; may be repeated"));
  app.add_flag("--list", options.list, Wrapped("Say what the cases are and exit"));
  app.add_option_function<std::string>(
      "-o,--output",
      [&options](const std::string& text) {
        if (text != "tap" && text != "json") {
          throw CLI::ValidationError("--output", "give tap or json");
        }
        options.json = text == "json";
      },
      Wrapped("How to say it: tap or json. Default: tap"));
}

// What CLI11 does not know of them.
void Check(Options& options) {
  Request& request = options.request;
  if (options.list) return;
  if (request.socket.empty()) throw CLI::RequiredError("--socket");
  if (request.socket[0] != '/' && request.socket[0] != '@') {
    throw CLI::ValidationError("--socket", "give /path or @name");
  }
  if (!request.kms.empty() && request.plugin.empty()) {
    throw CLI::ValidationError("--kms", "give --plugin as well: it is to find it");
  }
  if (request.kms.empty() && (request.kms_counts || !request.rotate.empty())) {
    throw CLI::ValidationError(request.kms_counts ? "--kms-counts" : "--rotate",
                               "give --kms as well: it is about that");
  }
  absl::Duration patience = absl::Seconds(60);
  if (!options.patience.empty() &&
      (!absl::ParseDuration(options.patience, &patience) || patience < absl::Milliseconds(1) ||
       patience > absl::Hours(1))) {
    throw CLI::ValidationError("--patience", "give a time such as 30s, up to 1h");
  }
  request.patience = absl::ToChronoMilliseconds(patience);
  for (const std::string& id : options.named) {
    const auto& cases = AllCases();
    if (std::none_of(cases.begin(), cases.end(), [&](const Case& each) { return each.id == id; })) {
      throw CLI::ValidationError(
          "--only", absl::StrCat("there is no case ", id, "; --list says which there are"));
    }
  }
}

int CannotTell(const Options& options, const absl::Status& status) {
  const std::string why(status.message());
  Print(options.json ? ErrorAsJson(why, kCannotTell) : TapBailOut(why));
  Complain(why);
  return kCannotTell;
}

int Run(const Options& options) {
  if (options.list) {
    return Print(options.json ? ListJson(AllCases()) : ListText(AllCases())) ? kAllKept
                                                                             : kCannotTell;
  }
  ::signal(SIGPIPE, SIG_IGN);
  EndAllOnSignals();
  Target target(options.request);
  if (absl::Status status = target.Begin(); !status.ok()) return CannotTell(options, status);
  const std::set<std::string> named(options.named.begin(), options.named.end());
  const std::size_t count = named.empty() ? AllCases().size() : named.size();
  bool told = options.json || Print(TapHead(count));
  std::size_t number = 0;
  const std::vector<Result> results =
      RunCases(AllCases(), options.named, target, [&](const Result& result) {
        ++number;
        told = told && (options.json || Print(TapLine(result, number)));
      });
  const int exit_code = ExitCodeOf(results);
  if (options.json) told = Print(AsJson(results, exit_code));
  return told ? exit_code : kCannotTell;
}

int Main(int argc, char** argv) {
  QuietLibraries();
  CLI::App app{"Hold a KMS v2 plugin against what kube-apiserver asks of one",
               "okms-kms-conformance"};
  app.get_formatter()->column_width(kDescription);
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.set_version_flag("--version", kVersion, "Print the version and exit");
  Options options;
  AddOptions(app, options);
  if (const auto done = ReadCommandLine(app, argc, argv, kUsageError)) return *done;
  try {
    Check(options);
  } catch (const CLI::ParseError& stop) {
    Complain(stop.what());
    return kUsageError;
  }
  return Run(options);
}

}  // namespace
}  // namespace okms::conformance

int main(int argc, char** argv) {
  try {
    return okms::conformance::Main(argc, argv);
  } catch (const std::exception& error) {  // out of memory, for one
    okms::conformance::Complain(error.what());
    return okms::conformance::kCannotTell;
  }
}
