// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/pem_file.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/read_file.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace okms {
namespace {

// Several times all roots of a system.
constexpr std::size_t kMost = 1 << 20U;

// What our units have systemd put in place of a credential whose file is not there
// (SetCredential=): without it, systemd would not even start us to tell.
constexpr char kNoCredential[] = "missing";

// What it is instead of a regular file; empty when it is one.
absl::string_view WhatElse(mode_t mode) {
  if (S_ISREG(mode)) return "";
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a FIFO";
  return S_ISSOCK(mode) ? "a socket" : "a device";
}

absl::Status CheckRegular(const NamedFile& file, mode_t mode) {
  const absl::string_view what = WhatElse(mode);
  return what.empty() ? absl::OkStatus()
                      : file.Bad(absl::StrCat("is ", what, "; name the PEM file"));
}

absl::Status CannotRead(const NamedFile& file, absl::string_view call, int error) {
  const std::string why = absl::StrCat(
      "cannot be read: ", ErrnoStatus(absl::StatusCode::kUnknown, call, error).message());
  if (error != EACCES) return file.Bad(absl::StrCat(why, "; correct the path"));
  return WithCode(file.Bad(absl::StrCat(why, "; let this service's user read it")),
                  absl::StatusCode::kPermissionDenied);
}

// Its length and when it was written last.
bool Same(const struct stat& a, const struct stat& b) {
  return a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec &&
         a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

}  // namespace

std::string NamedFile::Name() const {
  const std::string shown = WithoutPem(path);
  return from_systemd
             ? absl::StrCat(option,
                            " (the file of LoadCredential=", absl::StripPrefix(option, "--"),
                            ": in the unit, passed as ", shown, ")")
             : absl::StrCat(option, " ", shown);
}

absl::Status NamedFile::Bad(absl::string_view why) const {
  return absl::FailedPreconditionError(absl::StrCat(Name(), ": ", why));
}

absl::StatusOr<PemFile> ReadPemFile(const NamedFile& file) {
  const UniqueFd fd = OpenToRead(file.path);
  struct stat before {};
  if (!fd) {
    const int error = errno;
    // A socket, or a device that is not there, cannot even be opened.
    if (error == ENXIO && ::stat(file.path.c_str(), &before) == 0) {
      OKMS_RETURN_IF_ERROR(CheckRegular(file, before.st_mode));
    }
    return CannotRead(file, "open", error);
  }
  if (::fstat(fd.get(), &before) != 0) return CannotRead(file, "fstat", errno);
  OKMS_RETURN_IF_ERROR(CheckRegular(file, before.st_mode));
  if (before.st_size > static_cast<off_t>(kMost)) {
    return file.Bad("is larger than 1 MiB; name the PEM file");
  }

  // With room for one more byte, by which a file that has grown shows.
  WipedBytes bytes(static_cast<std::size_t>(before.st_size) + 1);
  const ssize_t size = ReadInto(fd.get(), bytes);
  if (size < 0) return CannotRead(file, "read", errno);
  struct stat after {};
  if (::fstat(fd.get(), &after) != 0 || !Same(before, after) || size != before.st_size) {
    return file.Bad("is being written; it has to be read again");
  }
  bytes.resize(static_cast<std::size_t>(size));
  if (AsText(bytes) == kNoCredential) {
    return absl::FailedPreconditionError(absl::StrCat(
        file.option, ": systemd found no file for this credential; put it where LoadCredential=",
        absl::StripPrefix(file.option, "--"), " of this unit says (systemctl cat)"));
  }
  return PemFile{Secret(std::move(bytes)), (before.st_mode & S_IROTH) != 0};
}

}  // namespace okms
