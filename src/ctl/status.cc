// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include <algorithm>
#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/status.h"
#include "config/duration.h"
#include "config/help_text.h"
#include "ctl/report_text.h"
#include "ctl/sources.h"
#include "ctl/subcommand.h"

namespace okms::ctl {
namespace {

constexpr std::chrono::milliseconds kBetweenLooks{500};
constexpr char kUsualWait[] = "60s";

struct Options {
  Places places;
  std::string wait;
  bool brief = false;
  Output output = Output::kText;
};

absl::StatusOr<Deadline> EndOfWait(const std::string& text) {
  if (text.empty()) return Clock::now();
  OKMS_ASSIGN_OR_RETURN(const auto wait,
                        ParseDuration("--wait", text, std::chrono::milliseconds(0)));
  return Clock::now() + wait;
}

// Until it is ready or `end`. That somebody else would have to ask is not going to change.
absl::StatusOr<Found> Look(std::span<const Source> sources, Deadline end) {
  while (true) {
    absl::StatusOr<Found> found = Ask(sources);
    const Deadline now = Clock::now();
    const bool done =
        found.ok() ? IsReady(found->report) : absl::IsPermissionDenied(found.status());
    if (done || now >= end) return found;
    std::this_thread::sleep_for(std::min<Clock::duration>(kBetweenLooks, end - now));
  }
}

// The one thing to do.
std::string Remedy(const absl::Status& status, const Places& places) {
  if (absl::IsPermissionDenied(status)) {
    return "run it as root, or as a member of the socket's group";
  }
  if (!places.status.empty() || !places.socket.empty())
    return "see whether the plugin serves that place";
  return absl::StrCat("see whether it runs, with `systemctl status ", places.Unit(),
                      "`; where its socket is elsewhere, name it with --status or --socket");
}

std::string Shown(const Found& found, const Options& options) {
  if (options.output == Output::kJson) {
    Json report = found.report;
    report["source"] = found.source;
    // Nothing but ASCII: a terminal shows it as it is.
    return report.dump(-1, ' ', true, Json::error_handler_t::replace) + "\n";
  }
  if (options.brief) return BriefText(found.report) + "\n";
  return ReportText(found.report, found.source);
}

int Status(const Options& options) {
  const auto sources = SourcesOf(options.places);
  const auto end = EndOfWait(options.wait);
  for (const absl::Status& wrong : {sources.status(), end.status()}) {
    if (wrong.ok()) continue;
    Complain(wrong.message());
    return kUsageError;
  }
  const absl::StatusOr<Found> found = Look(*sources, *end);
  if (!found.ok()) {
    Complain(absl::StrCat("nobody says how the plugin is:\n  ",
                          absl::StrReplaceAll(found.status().message(), {{"\n", "\n  "}}), "\n",
                          Remedy(found.status(), options.places)));
    return kCannotTell;
  }
  if (!Print(Shown(*found, options))) return kCannotTell;
  return IsReady(found->report) ? kGood : kFindings;
}

}  // namespace

void AddStatus(CLI::App& app, Run& run) {
  CLI::App* const command =
      app.add_subcommand("status", "Say how the plugin is: 0 when it is ready, 1 when it is not");
  const auto options = std::make_shared<Options>();
  command
      ->add_option("--wait", options->wait,
                   Wrapped("Wait until it is ready, for so long at the most: 30s, 5m; 60s when "
                           "nothing is said"))
      ->expected(0, 1);
  command->add_flag("--brief", options->brief, "Say it in one line");
  AddOutput(*command, options->output);
  AddPlaces(*command, options->places);
  command->callback([&run, command, options] {
    if (command->count("--wait") > 0 && options->wait.empty()) options->wait = kUsualWait;
    run = [options] { return Status(*options); };
  });
}

}  // namespace okms::ctl
