// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The environment, for the length of one test.

#ifndef OKMS_TESTS_UNIT_ENVIRONMENT_H_
#define OKMS_TESTS_UNIT_ENVIRONMENT_H_

#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

namespace okms::test {

// Sets (or, without a value, clears) a variable, and puts back what was there.
class ScopedVariable {
 public:
  ScopedVariable(std::string name, std::optional<std::string> value) : name_(std::move(name)) {
    if (const char* before = std::getenv(name_.c_str())) before_ = before;
    Put(value);
  }
  ~ScopedVariable() { Put(before_); }
  ScopedVariable(const ScopedVariable&) = delete;
  ScopedVariable& operator=(const ScopedVariable&) = delete;

 private:
  void Put(const std::optional<std::string>& value) const {
    if (value) {
      ::setenv(name_.c_str(), value->c_str(), 1);
    } else {
      ::unsetenv(name_.c_str());
    }
  }

  std::string name_;
  std::optional<std::string> before_;
};

}  // namespace okms::test

#endif  // OKMS_TESTS_UNIT_ENVIRONMENT_H_
