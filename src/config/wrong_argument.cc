// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "config/wrong_argument.h"

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "config/nearest.h"

namespace okms {
namespace {

using Arguments = std::span<const std::string>;

std::string OrNearest(const std::string& name, const std::vector<std::string>& names,
                      const std::string& else_see) {
  const std::string nearest = Nearest(name, names);
  return nearest.empty() ? absl::StrCat("see ", else_see)
                         : absl::StrCat("did you mean ", nearest, "?");
}

std::vector<std::string> OptionsOf(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* const option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back(absl::StrCat("--", name));
  }
  return names;
}

std::vector<std::string> CommandsOf(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* const command : app.get_subcommands({}))
    names.push_back(command->get_name());
  return names;
}

// An empty value is a variable that nobody has set, but for a prefix: that is one of all keys.
std::string IsEmpty(const std::string& name) {
  if (name == "--prefix") return "";
  const bool key = name == "--key" || name == "--fail-unless-key";
  return absl::StrCat(name, ": is empty; give ",
                      key ? "the id of the key" : "a value, or leave it out");
}

// An option of `app`'s or of `command`'s, as an argument has it.
struct Named {
  const CLI::Option* option = nullptr;  // none of that name
  std::string name;
  bool has_value = false;  // with it, after "="
  std::string value;
};

Named NamedBy(const CLI::App& app, const std::string& argument) {
  Named named;
  const bool is_long = absl::StartsWith(argument, "--");
  const std::size_t end = is_long ? argument.find('=') : std::min<std::size_t>(argument.size(), 2);
  named.name = argument.substr(0, end);
  named.option = app.get_option_no_throw(named.name);
  named.has_value = end < argument.size();
  if (named.has_value) named.value = argument.substr(end + (is_long ? 1 : 0));
  return named;
}

// One option that `arguments` begin with, and how many of them it takes.
std::string MistakeInOption(const CLI::App& app, Arguments arguments, const std::string& help,
                            std::size_t& taken) {
  const Named named = NamedBy(app, arguments[0]);
  taken = 1;
  if (named.option == nullptr) {
    return absl::StrCat(Printable(named.name), ": no such option; ",
                        OrNearest(named.name, OptionsOf(app), help));
  }
  if (named.has_value) return named.value.empty() ? IsEmpty(named.name) : "";
  if (named.option->get_expected_max() == 0) return "";  // a switch
  const bool has_next = arguments.size() > 1;
  if (named.option->get_expected_min() == 0) {  // it may have none
    if (!has_next || absl::StartsWith(arguments[1], "-")) return "";
  } else if (!has_next) {
    return absl::StrCat(named.name, " needs a value; give it after = or a space");
  }
  taken = 2;
  return arguments[1].empty() ? IsEmpty(named.name) : "";
}

// One line; empty: CLI11 may have them.
std::string MistakeIn(const CLI::App& top, Arguments arguments) {
  const CLI::App* app = &top;
  std::string help = "--help";
  while (!arguments.empty()) {
    const std::string& argument = arguments[0];
    if (argument == "--") return "";  // what follows is another program's
    std::size_t taken = 1;
    if (argument.size() > 1 && argument[0] == '-') {
      const std::string mistake = MistakeInOption(*app, arguments, help, taken);
      if (!mistake.empty()) return mistake;
    } else if (const std::vector<std::string> commands = CommandsOf(*app); !commands.empty()) {
      if (std::find(commands.begin(), commands.end(), argument) == commands.end()) {
        return absl::StrCat(Printable(argument), ": no such command; ",
                            OrNearest(argument, commands, help));
      }
      app = app->get_subcommand(argument);
      help = absl::StrCat(argument, " --help");
    } else {
      const auto options = app->get_options();
      const bool takes_any = std::any_of(options.begin(), options.end(), [](const auto* option) {
        return option->get_positional();
      });
      if (!takes_any) {
        return absl::StrCat("\"", Printable(argument), "\" follows no option; see ", help);
      }
    }
    arguments = arguments.subspan(taken);
  }
  return "";
}

}  // namespace

std::optional<int> ReadCommandLine(CLI::App& app, int argc, char** argv, int usage_error) {
  app.failure_message([](const CLI::App* failed, const CLI::Error& error) {
    return absl::StrCat(failed->get_name(), ": ", Printable(error.what(), 400), "\n");
  });
  try {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    if (arguments.empty() && !CommandsOf(app).empty()) {
      throw CLI::ParseError("give a command; see --help", CLI::ExitCodes::RequiredError);
    }
    if (const std::string mistake = MistakeIn(app, arguments); !mistake.empty()) {
      throw CLI::ParseError(mistake, CLI::ExitCodes::ExtrasError);
    }
    app.parse(argc, argv);
  } catch (const CLI::ParseError& stop) {  // --help and --version are such, too
    return app.exit(stop) == 0 ? 0 : usage_error;
  }
  return std::nullopt;
}

}  // namespace okms
