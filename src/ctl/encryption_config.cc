// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "config/help_text.h"
#include "ctl/encryption_plan.h"
#include "ctl/new_file.h"
#include "ctl/sources.h"
#include "ctl/subcommand.h"
#include "doctor/shown_text.h"
#include "doctor/text_file.h"

namespace okms::ctl {
namespace {

using Step = EncryptionPlan::Step;

struct Options {
  Places places;
  std::string name = "okms";
  std::vector<std::string> resources;
  std::string timeout = "3s";
  std::optional<std::string> from;
  bool from_identity = false;
  Step step = Step::kWriter;
  std::string file;
  Output output = Output::kText;
};

// What stands before each stored value. kube-apiserver itself takes all but a colon; what a shell
// or YAML could make something else of is not worth it.
absl::Status CheckName(const std::string& name) {
  const auto well = [](char c) {
    return absl::ascii_isgraph(static_cast<unsigned char>(c)) && c != ':' && c != '"' && c != '\\';
  };
  if (!name.empty() && std::all_of(name.begin(), name.end(), well)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--name ", Printable(name),
                   ": no name that kube-apiserver takes; give one without colons and blanks"));
}

// As kube-apiserver reads it.
absl::StatusOr<std::string> Timeout(const std::string& text) {
  absl::Duration timeout;
  if (absl::ParseDuration(text, &timeout) && timeout > absl::ZeroDuration() &&
      timeout <= absl::Minutes(1)) {
    return absl::FormatDuration(timeout);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--timeout ", Printable(text),
                   ": no time above 0 and up to 1m; give for example 3s, and no more than the "
                   "plugin's own --timeout"));
}

absl::StatusOr<EncryptionPlan> PlanOf(const Options& options) {
  OKMS_RETURN_IF_ERROR(CheckName(options.name));
  OKMS_ASSIGN_OR_RETURN(const SocketAddress socket, SocketOf(options.places));
  OKMS_ASSIGN_OR_RETURN(std::string timeout, Timeout(options.timeout));
  return EncryptionPlan{options.name,
                        absl::StrCat("unix://", socket.path.empty() ? "/" : "", socket.ToString()),
                        std::move(timeout),
                        options.resources,
                        "",
                        options.step};
}

int Fail(const absl::Status& status, ExitCode code) {
  Complain(status.message());
  return code;
}

// Where keys on standard output would be seen by others; null: nowhere.
const char* WhereSeen() {
  if (::isatty(STDOUT_FILENO) != 0) return "on the screen";
  struct stat info {};
  const bool file = ::fstat(STDOUT_FILENO, &info) == 0 && S_ISREG(info.st_mode);
  return file && (info.st_mode & 077U) != 0 ? "in a file that others may open" : nullptr;
}

// Where nobody said it: as it was before, else where a plugin is expected.
void ChooseEndpoint(const Options& options, EncryptionPlan& plan) {
  if (!options.places.socket.empty()) return;
  const bool as_before = !plan.from.empty() && options.places.instance.empty();
  const std::string before = as_before ? EndpointOf(plan.name, plan.from) : "";
  if (before == plan.endpoint) return;
  if (!before.empty()) {
    plan.endpoint = before;
    Complain(absl::StrCat("the endpoint is that of --from: ", doctor::ShownValue(before)));
  } else if (const absl::string_view path = absl::StripPrefix(plan.endpoint, "unix://");
             ::access(std::string(path).c_str(), F_OK) != 0 && errno == ENOENT) {
    Complain(absl::StrCat("there is no socket at ", path,
                          " yet; where the plugin has another one, name it with --socket"));
  }
}

int Write(const Options& options) {
  absl::StatusOr<EncryptionPlan> plan = PlanOf(options);
  if (!plan.ok()) return Fail(plan.status(), kUsageError);
  if (options.from) {
    auto read = doctor::ReadTextFile(*options.from);
    if (!read.ok()) return Fail(Annotate(read.status(), "--from"), kCannotTell);
    if (read->empty()) {
      return Fail(absl::InvalidArgumentError("--from: the file is empty"), kFindings);
    }
    plan->from = *std::move(read);
  }
  ChooseEndpoint(options, *plan);
  const absl::StatusOr<EncryptionText> text = WriteEncryptionConfig(*plan);
  if (!text.ok()) return Fail(text.status(), plan->from.empty() ? kUsageError : kFindings);
  const char* const seen = text->holds_keys && options.file.empty() ? WhereSeen() : nullptr;
  if (seen != nullptr) {
    return Fail(absl::FailedPreconditionError(absl::StrCat("--from has keys, which would be ", seen,
                                                           "; give a new file with -f")),
                kUsageError);
  }
  if (!text->caution.empty()) Complain(text->caution);
  const std::string& shown = options.output == Output::kJson ? text->json : text->yaml;
  if (options.file.empty()) return Print(shown) ? kGood : kCannotTell;
  const absl::Status written = WriteNewFile(options.file, shown);
  return written.ok() ? kGood : Fail(written, kCannotTell);
}

void AddStep(CLI::App& command, Step& step) {
  command.add_option_function<std::string>(
      "--step",
      [&step](const std::string& text) {
        if (text != "readers" && text != "writer" && text != "only") {
          throw CLI::ValidationError("--step", "give readers, writer or only");
        }
        step = text == "readers" ? Step::kReaders : text == "only" ? Step::kOnly : Step::kWriter;
      },
      Wrapped("readers: the plugin reads, who wrote goes on; writer: the plugin writes, the others "
              "read; only: nobody else reads. Default: writer"));
}

}  // namespace

void AddEncryptionConfig(CLI::App& app, Run& run) {
  CLI::App* const command = app.add_subcommand(
      "encryption-config", "Write kube-apiserver's file, step by step from what it was");
  const auto options = std::make_shared<Options>();
  command->add_option("--name", options->name,
                      Wrapped("Name of the provider, which stands before each value in etcd. "
                              "Default: okms"));
  command
      ->add_option("--resource", options->resources,
                   Wrapped("What is to be encrypted: configmaps, widgets.example.com, *.apps; may "
                           "be repeated. Default: what the file of --from encrypts, else secrets"))
      ->allow_extra_args(false);
  command->add_option("--timeout", options->timeout,
                      Wrapped("How long kube-apiserver waits for a call. Default: 3s"));
  command->add_option("--from", options->from,
                      Wrapped("The file of before, whose providers read on"));
  command->add_flag("--from-identity", options->from_identity,
                    Wrapped("Nothing was encrypted before, which is so where no file is named"));
  AddStep(*command, options->step);
  AddNewFile(*command, options->file);
  AddOutput(*command, options->output);
  AddSocketPlace(*command, options->places);
  command->callback([&run, command, options] {
    if (options->from_identity && command->count("--from") > 0) {
      throw CLI::ExcludesError("--from-identity", "--from");
    }
    run = [options] { return Write(*options); };
  });
}

}  // namespace okms::ctl
