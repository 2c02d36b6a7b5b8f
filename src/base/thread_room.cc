// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "base/thread_room.h"

#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"

namespace okms {

absl::Status CheckThreadRoom(std::size_t count) {
  std::mutex held;
  std::vector<std::jthread> threads;  // joined once `hold` is gone
  threads.reserve(count);
  const std::lock_guard hold(held);
  try {
    while (threads.size() < count) {
      threads.emplace_back([&held] { const std::lock_guard released(held); });
    }
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "no room for the ", count, " threads that may be needed, only for ", threads.size(), ": ",
        error.code().message(),
        ": raise the limit of tasks (TasksMax= in a unit), of the user's processes (LimitNPROC=), "
        "or of memory (LimitAS=)"));
  }
  return absl::OkStatus();
}

}  // namespace okms
