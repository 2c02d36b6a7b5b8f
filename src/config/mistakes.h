// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// All that is wrong with a configuration, so that nobody has to find one mistake after the other.

#ifndef OKMS_CONFIG_MISTAKES_H_
#define OKMS_CONFIG_MISTAKES_H_

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"

namespace okms {

// A mistake: a line that begins with the flag and names the remedy.
template <typename... Parts>
absl::Status Bad(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

inline absl::Status Required(const std::string& value, absl::string_view flag,
                             absl::string_view variable, absl::string_view what) {
  if (!value.empty()) return absl::OkStatus();
  return Bad(flag, " is missing: give ", what, " (or set ", variable, ")");
}

class Mistakes {
 public:
  // A line that begins with the flag and names the remedy.
  template <typename... Parts>
  void Add(const Parts&... parts) {
    std::string line = absl::StrCat(parts...);
    if (unreadable_.count(line.substr(0, line.find_first_of(" :"))) == 0) {
      lines_.push_back(std::move(line));
    }
  }
  // The same for a flag whose value is not even read: what else is said of it is left out.
  template <typename... Parts>
  void AddUnreadable(absl::string_view flag, const Parts&... parts) {
    lines_.push_back(absl::StrCat(flag, parts...));
    unreadable_.emplace(flag);
  }
  void AddIfError(const absl::Status& status) {
    if (!status.ok()) Add(status.message());
  }
  // Takes the value, or adds why there is none.
  template <typename T, typename U>
  void Take(T& target, absl::StatusOr<U> value) {
    AddIfError(value.status());
    if (value.ok()) target = *std::move(value);
  }

  // kInvalidArgument with the lines, one after the other, when there are any.
  absl::Status status() const {
    if (lines_.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrJoin(lines_, "\n"));
  }

 private:
  std::vector<std::string> lines_;
  std::set<std::string> unreadable_;
};

}  // namespace okms

#endif  // OKMS_CONFIG_MISTAKES_H_
