// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "unit/sandbox/enter.h"

#include <unistd.h>

#include <future>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "sandbox/confine.h"
#include "unit/sandbox/child.h"

namespace okms::test {
namespace {

void Must(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(std::string(status.message()));
}

}  // namespace

void ActInSandbox(const sandbox::Reach& reach, Actor actor, const std::function<void()>& act) {
  Must(sandbox::Confine(::geteuid() == 0 ? kTestUserText : "", reach).status());
  std::promise<void> confined;
  std::promise<void> there;
  std::thread older([&] {
    there.set_value();
    confined.get_future().wait();
    if (actor == Actor::kOlder) act();
  });
  there.get_future().wait();
  const absl::Status filtered = sandbox::FilterSystemCalls();
  confined.set_value();
  older.join();
  Must(filtered);
  if (actor == Actor::kLoader) act();
  if (actor == Actor::kYounger) std::thread(act).join();
}

}  // namespace okms::test
