// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// okms-list-snapshot FILE [PREFIX]: what audit/snapshot.h reads of it, history and all, as JSON:
// one line of what there is, then one a value, with its first bytes. For tests: it shows what it
// finds.

#include <exception>
#include <iostream>
#include <string>

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "audit/snapshot.h"

namespace okms::audit {
namespace {

using nlohmann::json;

constexpr std::size_t kShown = 64;

// Keys and values may be any bytes; what is no UTF-8 is replaced.
void Print(const json& line) {
  std::cout << line.dump(-1, ' ', true, json::error_handler_t::replace) << '\n';
}

absl::Status List(const std::string& path, const Scope& scope) {
  const auto store = OpenSnapshot(path);
  if (!store.ok()) return store.status();
  const auto extent = (*store)->Open(scope);
  if (!extent.ok()) return extent.status();
  Print({{"revision", extent->revision},
         {"compacted", extent->compacted},
         {"total", extent->total},
         {"line", extent->line}});
  return (*store)->Read([](const StoredValue& value) {
    static constexpr const char* kStandings[] = {"live", "old", "freed"};
    Print({{"standing", kStandings[static_cast<int>(value.standing)]},
           {"key", std::string(value.key)},
           {"size", value.value.size()},
           {"beginning", std::string(value.value.substr(0, kShown))},
           {"created", value.create_revision},
           {"revision", value.mod_revision}});
    return absl::OkStatus();
  });
}

int Main(int argc, char** argv) {
  if (argc != 2 && argc != 3) {
    std::cerr << "usage: " << argv[0] << " FILE [PREFIX]\n";
    return 2;
  }
  const absl::Status status =
      List(argv[1], {.prefix = argc == 3 ? argv[2] : "/registry/", .history = true});
  if (status.ok()) return 0;
  std::cerr << status.message() << '\n';
  return 1;
}

}  // namespace
}  // namespace okms::audit

int main(int argc, char** argv) {
  try {
    return okms::audit::Main(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "okms-list-snapshot: " << error.what() << '\n';
    return 2;
  }
}
