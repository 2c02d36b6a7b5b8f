// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "doctor/text_file.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/read_file.h"
#include "base/secret.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace okms::doctor {
namespace {

constexpr std::size_t kMost = std::size_t{1} << 20U;

absl::StatusCode CodeOf(int error) {
  if (error == ENOENT || error == ENOTDIR) return absl::StatusCode::kNotFound;
  return error == EACCES ? absl::StatusCode::kPermissionDenied
                         : absl::StatusCode::kFailedPrecondition;
}

}  // namespace

absl::StatusOr<std::string> ReadTextFile(const std::string& path) {
  const auto failed = [&] {
    return ErrnoStatus(CodeOf(errno), absl::StrCat(Printable(path), ": cannot be read"), errno);
  };
  const UniqueFd fd = OpenToRead(path);
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0) return failed();
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(Printable(path), ": is no regular file"));
  }
  WipedBytes bytes(kMost + 1);
  const ssize_t size = ReadInto(fd.get(), bytes);
  if (size < 0) return failed();
  if (static_cast<std::size_t>(size) > kMost) {
    return absl::FailedPreconditionError(absl::StrCat(Printable(path), ": is larger than 1 MiB"));
  }
  return std::string(AsText(ByteView(bytes).first(static_cast<std::size_t>(size))));
}

}  // namespace okms::doctor
