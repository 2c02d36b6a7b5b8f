// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// systemd's journal, to which an event goes with its fields.

#ifndef OKMS_BASE_JOURNAL_H_
#define OKMS_BASE_JOURNAL_H_

#include <memory>
#include <string>
#include <utility>

#include "base/event.h"
#include "base/unique_fd.h"

namespace okms {

// Whether `fd` leads to the journal, by $JOURNAL_STREAM (systemd.exec(5)). A variable that was
// merely inherited does not count.
bool IsJournal(int fd);

// As many "FIELD=value" lines as the event has fields, in the journal's own format
// (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/): PRIORITY, SYSLOG_FACILITY (daemon, as systemd has
// it for a service), SYSLOG_IDENTIFIER, MESSAGE, OKMS_EVENT, and KEY_ID_HASH and UID where the
// event has them. What the journal trusts (_SYSTEMD_UNIT, _PID, _UID, ...) it adds itself.
std::string JournalEntry(const Event& event);

// Thread-safe. Its only system call after Connect is one send(2).
class Journal {
 public:
  static constexpr char kSocket[] = "/run/systemd/journal/socket";

  // Null when nobody listens there.
  static std::shared_ptr<const Journal> Connect(const std::string& socket = kSocket);

  explicit Journal(UniqueFd socket) : socket_(std::move(socket)) {}

  // Whether the journal has it. Not, and at once, when it is busy or gone, or the entry is larger
  // than a datagram may be.
  bool Send(const Event& event) const;

 private:
  UniqueFd socket_;
};

}  // namespace okms

#endif  // OKMS_BASE_JOURNAL_H_
