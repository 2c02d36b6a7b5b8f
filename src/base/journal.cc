// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Not by sd_journal_sendv(3): it opens its socket at the first event, which the sandbox forbids,
// blocks while the journal is busy, passes large entries in files of memory, and calls it a success
// when there is no journal.

#include "base/journal.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstdlib>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/unix_address.h"
#include "base/utf8.h"

namespace okms {
namespace {

constexpr int kDaemon = 3;  // LOG_DAEMON >> 3

}  // namespace

bool IsJournal(int fd) {
  const char* const stream = std::getenv("JOURNAL_STREAM");
  struct stat file {};
  return stream != nullptr && ::fstat(fd, &file) == 0 &&
         stream == absl::StrCat(file.st_dev, ":", file.st_ino);
}

std::string JournalEntry(const Event& event) {
  std::string entry;
  const auto add = [&entry](absl::string_view field, absl::string_view value) {
    if (!value.empty()) absl::StrAppend(&entry, field, "=", OneLine(value), "\n");
  };
  add("PRIORITY", absl::StrCat(static_cast<int>(event.severity)));
  add("SYSLOG_FACILITY", absl::StrCat(kDaemon));
  add("SYSLOG_IDENTIFIER", ::program_invocation_short_name);
  add("MESSAGE", event.text);
  add("OKMS_EVENT", Name(event.name));
  add("KEY_ID_HASH", event.key_id_hash);
  add("UID", event.uid);
  return entry;
}

std::shared_ptr<const Journal> Journal::Connect(const std::string& socket) {
  const std::optional<UnixAddress> address = UnixAddress::Of(socket);
  UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd || !address || ::connect(fd.get(), address->get(), address->size()) != 0) return nullptr;
  return std::make_shared<Journal>(std::move(fd));
}

bool Journal::Send(const Event& event) const {
  const std::string entry = JournalEntry(event);
  return ::send(socket_.get(), entry.data(), entry.size(), MSG_NOSIGNAL | MSG_DONTWAIT) ==
         static_cast<ssize_t>(entry.size());
}

}  // namespace okms
