// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "ctl/new_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include <CLI/CLI.hpp>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "config/help_text.h"

namespace okms::ctl {

void AddNewFile(CLI::App& command, std::string& path) {
  command.add_option("-f,--file", path, Wrapped("A new file for it. Default: standard output"));
}

absl::Status WriteNewFile(const std::string& path, absl::string_view text) {
  const UniqueFd file(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  const auto failed = [&] {
    return ErrnoStatus(absl::StatusCode::kUnavailable, absl::StrCat("-f ", Printable(path)), errno);
  };
  if (!file) return failed();
  while (!text.empty()) {
    const ssize_t written = ::write(file.get(), text.data(), text.size());
    if (written < 0) return failed();
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return absl::OkStatus();
}

}  // namespace okms::ctl
