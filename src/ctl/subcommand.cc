// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "ctl/subcommand.h"

#include <cstdio>

#include <CLI/CLI.hpp>

#include "absl/strings/str_cat.h"

namespace okms::ctl {

void AddOutput(CLI::App& command, Output& output) {
  command.add_option_function<std::string>(
      "-o,--output",
      [&output](const std::string& text) {
        if (text != "text" && text != "json") {
          throw CLI::ValidationError("--output", "give text or json");
        }
        output = text == "json" ? Output::kJson : Output::kText;
      },
      "How to say it: text or json. Default: text");
}

void Complain(absl::string_view line) {
  std::fputs(absl::StrCat("okms-kms-ctl: ", line, "\n").c_str(), stderr);
}

bool Print(const std::string& text) {
  return std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
}

}  // namespace okms::ctl
