// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// All that somebody elsewhere needs to see what is wrong here, in one text. Each part is bounded,
// and goes through Scrubbed before it comes to the others.

#include <memory>
#include <span>
#include <string>

#include <CLI/CLI.hpp>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "ctl/machine.h"
#include "ctl/new_file.h"
#include "ctl/report_text.h"
#include "ctl/scrub.h"
#include "ctl/sources.h"
#include "ctl/subcommand.h"
#include "version.h"

namespace okms::ctl {
namespace {

constexpr std::size_t kMost = 65536;  // bytes of a part

struct Options {
  Places places;
  std::string file;
};

std::string Part(absl::string_view title, absl::string_view text) {
  return absl::StrCat("\n== ", title, "\n", Scrubbed(absl::StripTrailingAsciiWhitespace(text)));
}

std::string StatusPart(std::span<const Source> sources) {
  const absl::StatusOr<Found> found = Ask(sources);
  if (!found.ok()) return Part("status: nobody answers", found.status().message());
  // A line for each fact, so that what is cut from a line is one fact.
  return Part("status", ReportText(found->report, found->source)) +
         Part("report", found->report.dump(1, ' ', true, Json::error_handler_t::replace));
}

std::string Processes() {
  std::string parts;
  for (const std::string& pid : ProcessesNamed(kProgram)) {
    absl::StrAppend(&parts, Part(absl::StrCat("process ", pid), ProcessText(pid)));
  }
  return parts.empty() ? Part("process", "none runs") : parts;
}

std::string BugReport(const Places& places, std::span<const Source> sources) {
  const std::string unit = places.Unit();
  const auto variables = FileText(absl::StrCat("/etc/", places.Folder(), "/environment"), kMost);
  return absl::StrCat(
      "okms-kms-ctl ", kVersion, ", ", absl::FormatTime(absl::Now(), absl::UTCTimeZone()), "\n",
      Part("kernel", KernelText()), StatusPart(sources), Processes(),
      Part("state of the unit",
           OutputOf({"systemctl", "show",
                     "--property=ActiveState,SubState,Result,NRestarts,ExecMainStatus,"
                     "ActiveEnterTimestamp,StatusText,MemoryCurrent",
                     "--", unit},
                    kMost)),
      Part("unit", UnitWithoutSecrets(OutputOf({"systemctl", "cat", "--", unit}, kMost))),
      Part("variables", variables.ok() ? OnlyOurVariables(*variables)
                                       : std::string(variables.status().message())),
      Part("log", OutputOf({"journalctl", "--no-pager", "--no-hostname", "--output=short-iso",
                            "--lines=200", "--unit", unit},
                           kMost)));
}

int Report(const Options& options) {
  const auto sources = SourcesOf(options.places);
  if (!sources.ok()) {
    Complain(sources.status().message());
    return kUsageError;
  }
  const std::string text = BugReport(options.places, *sources);
  if (options.file.empty()) return Print(text) ? kGood : kCannotTell;
  const absl::Status written = WriteNewFile(options.file, text);
  if (!written.ok()) {
    Complain(written.message());
    return kCannotTell;
  }
  return Print(absl::StrCat(Printable(options.file),
                            " is written; look through it before it goes out\n"))
             ? kGood
             : kCannotTell;
}

}  // namespace

void AddBugReport(CLI::App& app, Run& run) {
  CLI::App* const command = app.add_subcommand(
      "bugreport", "Collect what somebody else needs to see what is wrong, without secrets");
  const auto options = std::make_shared<Options>();
  AddNewFile(*command, options->file);
  AddPlaces(*command, options->places);
  command->callback([&run, options] { run = [options] { return Report(*options); }; });
}

}  // namespace okms::ctl
