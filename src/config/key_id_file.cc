// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "config/key_id_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/read_file.h"
#include "base/secret.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "base/utf8.h"
#include "base/uuid.h"

namespace okms {
namespace {

constexpr std::size_t kMostBytes = 4096;
constexpr char kByteOrderMark[] = "\xEF\xBB\xBF";
constexpr char kNothingElse[] = "; it must hold the id of the key and nothing else";

// Errors without the file's name.
absl::StatusOr<std::string> Content(const std::string& path) {
  const auto failed = [](const char* what, int error) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cannot be read: ", ErrnoStatus(absl::StatusCode::kUnknown, what, error).message(),
        error == EACCES
            ? "; let this service's user read it; where its folder was replaced, restart "
              "this service"
            : "; correct the path"));
  };
  const UniqueFd fd = OpenToRead(path);
  if (!fd) return failed("open", errno);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return failed("stat", errno);
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError("is no regular file; name the file that holds the id");
  }
  std::array<uint8_t, kMostBytes + 1> bytes{};
  const ssize_t size = ReadInto(fd.get(), bytes);
  if (size < 0) return failed("read", errno);
  if (static_cast<std::size_t>(size) == bytes.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("has more than ", kMostBytes, " bytes", kNothingElse));
  }
  return std::string(AsText(ByteView(bytes).first(static_cast<std::size_t>(size))));
}

// Errors without the file's name.
absl::StatusOr<std::string> IdIn(absl::string_view content, bool must_be_uuid) {
  absl::ConsumePrefix(&content, kByteOrderMark);
  const std::string id(absl::StripAsciiWhitespace(content));
  const auto wrong = [](const auto&... parts) {
    return absl::InvalidArgumentError(absl::StrCat(parts...));
  };
  if (id.empty()) return wrong("is empty; write the id of the key into it");
  if (!IsUtf8(id)) return wrong("is no UTF-8 text; save it as UTF-8");
  if (id.find_first_of("\r\n") != std::string::npos) {
    return wrong("has several lines", kNothingElse);
  }
  if (std::any_of(id.begin(), id.end(), absl::ascii_iscntrl)) {
    return wrong("has a control character in it", kNothingElse);
  }
  if (id.size() >= 2 && id.front() == id.back() && (id.front() == '"' || id.front() == '\'')) {
    return wrong("has quotes around the id, which would be part of it; leave them out");
  }
  if (id.size() > kMaxKeyName) {
    return wrong("holds an id of ", id.size(), " bytes; at most ", kMaxKeyName, " are possible");
  }
  if (must_be_uuid && !ParseUuid(id)) {
    return wrong("holds ", Printable(id),
                 ": no UUID, as the REST API has; give the id of a service key");
  }
  return id;
}

}  // namespace

absl::StatusOr<std::string> ReadKeyIdFile(const NamedFile& file, bool must_be_uuid) {
  absl::StatusOr<std::string> id = Content(file.path);
  if (id.ok()) id = IdIn(*id, must_be_uuid);
  if (!id.ok()) return Annotate(id.status(), Printable(file.Name(), 400));
  return id;
}

}  // namespace okms
