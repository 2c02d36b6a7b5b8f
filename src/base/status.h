// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Helpers around absl::Status, the one error type below main.
//
// The code says what may be done: kUnavailable retry; kDeadlineExceeded the caller's time is over;
// kFailedPrecondition the key or the server is not fit; kNotFound, kPermissionDenied,
// kUnauthenticated as the KMS says; kInvalidArgument the request is at fault; kDataLoss malformed
// or inconsistent bytes from a peer; kResourceExhausted our own queue is full. Messages are one
// line: a fixed phrase and non-secret facts.

#ifndef OKMS_BASE_STATUS_H_
#define OKMS_BASE_STATUS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace okms {

// "`what`: `strerror(error)`", with the given code.
absl::Status ErrnoStatus(absl::StatusCode code, absl::string_view what, int error);

// The same code, with "`what`: " before the message.
absl::Status Annotate(const absl::Status& status, absl::string_view what);

// The same code, with "; `what`" after the message, unless it is empty.
absl::Status Append(const absl::Status& status, absl::string_view what);

// The same, detail included, with another code.
absl::Status WithCode(const absl::Status& status, absl::StatusCode code);

// Drains this thread's OpenSSL error queue into one line; "no further detail" when it is empty.
std::string OpenSslErrors();

// Text of a peer made fit for one log line: control and non-ASCII bytes become '?', and what is
// over `limit` bytes is cut and marked; WithoutPem.
std::string Printable(absl::string_view text, std::size_t limit = 200);

// The text, unless there is PEM in it, in base64 perhaps: it may be a key that was given where the
// name of its file belongs.
std::string WithoutPem(absl::string_view text);

// As Printable, of an address; one in which a user may have a password is withheld.
std::string PrintableAddress(absl::string_view text);

// The same status with a fact that differs from one failure to the next, a request's id for one. It
// stays out of message(), so that two failures for the same reason have the same message.
absl::Status WithDetail(absl::Status status, absl::string_view detail);

// "message", or "message (detail)": how a status is shown beside its code.
std::string Message(const absl::Status& status);

// "UNAVAILABLE: message (detail)": how a status is shown to people.
std::string Describe(const absl::Status& status);

}  // namespace okms

// Evaluates to the value of a StatusOr, or returns its status from the enclosing function.
#define OKMS_CONCAT_INNER(a, b) a##b
#define OKMS_CONCAT(a, b) OKMS_CONCAT_INNER(a, b)
#define OKMS_ASSIGN_OR_RETURN(target, expression)                               \
  auto OKMS_CONCAT(status_or_, __LINE__) = (expression);                        \
  if (!OKMS_CONCAT(status_or_, __LINE__).ok())                                  \
    return std::move(OKMS_CONCAT(status_or_, __LINE__)).status();               \
  /* target may be a declaration: NOLINTNEXTLINE(bugprone-macro-parentheses) */ \
  target = *std::move(OKMS_CONCAT(status_or_, __LINE__))
#define OKMS_RETURN_IF_ERROR(expression)                                                \
  do {                                                                                  \
    if (absl::Status okms_status = (expression); !okms_status.ok()) return okms_status; \
  } while (false)

#endif  // OKMS_BASE_STATUS_H_
