// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/system_roots.h"

#include <openssl/x509.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace okms {
namespace {

namespace fs = std::filesystem;

std::string Named(const char* variable, const char* standard) {
  const char* const value = std::getenv(variable);
  return value != nullptr ? value : standard;
}

std::string File() { return Named(X509_get_default_cert_file_env(), X509_get_default_cert_file()); }

std::string Directories() {
  return Named(X509_get_default_cert_dir_env(), X509_get_default_cert_dir());
}

std::string Contents(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// "5ed36f99.0": the hash of the subject, by which OpenSSL looks up. What else is in such a
// directory (the same certificates under names for people, or all of them in one file) it would not
// find.
bool IsHashed(absl::string_view name) {
  const std::vector<absl::string_view> parts = absl::StrSplit(name, '.');
  return parts.size() == 2 && parts[0].size() == 8 &&
         std::all_of(parts[0].begin(), parts[0].end(), absl::ascii_isxdigit) && !parts[1].empty() &&
         std::all_of(parts[1].begin(), parts[1].end(), absl::ascii_isdigit);
}

}  // namespace

std::shared_ptr<const UnreadCertificates> ReadSystemRoots() {
  auto roots = std::make_shared<UnreadCertificates>();
  roots->Add(Contents(File()));
  const std::string directories = Directories();
  for (const absl::string_view directory : absl::StrSplit(directories, ':', absl::SkipEmpty())) {
    std::error_code error;
    for (fs::directory_iterator entry(std::string(directory), error);
         !error && entry != fs::directory_iterator(); entry.increment(error)) {
      if (IsHashed(entry->path().filename().string())) roots->Add(Contents(entry->path()));
    }
  }
  return roots;
}

std::string SystemRootPlaces() { return absl::StrCat(File(), ", ", Directories()); }

}  // namespace okms
