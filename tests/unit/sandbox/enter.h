// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The whole sandbox, with threads, for what is tried in it.

#ifndef OKMS_TESTS_UNIT_SANDBOX_ENTER_H_
#define OKMS_TESTS_UNIT_SANDBOX_ENTER_H_

#include <functional>

#include "sandbox/landlock.h"

namespace okms::test {

// Which thread acts: the one that loads the filter, one that was there before, or one that comes
// after.
enum class Actor { kLoader, kOlder, kYounger };

// To be called in a child: confines it as app/run.cc does, root as kTestUser, and then lets the
// actor act. Ends the child if it cannot be confined.
void ActInSandbox(const sandbox::Reach& reach, Actor actor, const std::function<void()>& act);

}  // namespace okms::test

#endif  // OKMS_TESTS_UNIT_SANDBOX_ENTER_H_
