// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// A sandbox cannot be left again, so each test enters it in a process of its own.

#ifndef OKMS_TESTS_UNIT_SANDBOX_CHILD_H_
#define OKMS_TESTS_UNIT_SANDBOX_CHILD_H_

#include <functional>
#include <string>

namespace okms::test {

// The user and group of nobody else that a test of root's becomes.
inline constexpr unsigned kTestUser = 47000;
inline constexpr char kTestUserText[] = "47000:47000";

struct Ended {
  int status = 0;    // the exit status, or minus the signal
  std::string said;  // to standard output and error
};

// Runs `body` in a child process. Its exit status is 1 if an expectation failed there, else 0.
// Fork only while this process has one thread.
Ended RunInChild(const std::function<void()>& body);

// The same, for a body whose expectations must all hold.
void ExpectInChild(const std::function<void()>& body);

// Whether no privileges can be gained here from the start: so a build sandbox of Nix's has it, and
// nobody can take it back.
bool IsWithoutNewPrivileges();
inline constexpr char kIsWithoutNewPrivileges[] =
    "PR_SET_NO_NEW_PRIVS is set already, as in a build sandbox: that it is missing cannot be seen";

}  // namespace okms::test

#endif  // OKMS_TESTS_UNIT_SANDBOX_CHILD_H_
