// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The whole job under a malloc that is not the C library's, as a machine may preload it into every
// process. They make system calls of their own, and ours stands in front of their free.

#include <atomic>
#include <filesystem>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "integration/rest_plugin_test.h"
#include "support/require.h"

namespace okms::test {
namespace {

using testing::HasSubstr;

constexpr std::size_t kClients = 8;
constexpr std::size_t kRounds = 64;  // of Encrypt and Decrypt, by each client

struct Allocator {
  const char* name;
  const char* directory;  // where it is, at whatever depth
  const char* file;       // how its name begins
};

void PrintTo(const Allocator& allocator, std::ostream* out) { *out << allocator.name; }

#ifdef __x86_64__
#define OKMS_ARCHITECTURE "x86_64"
#else
#define OKMS_ARCHITECTURE "aarch64"
#endif

constexpr char kLibraries[] = "/usr/lib/" OKMS_ARCHITECTURE "-linux-gnu";
constexpr Allocator kAllocators[] = {
    {"Jemalloc", kLibraries, "libjemalloc.so.2"},
    {"Mimalloc", kLibraries, "libmimalloc.so.2"},
    {"Scudo", "/usr/lib/llvm-14/lib/clang",
     "libclang_rt.scudo_standalone-" OKMS_ARCHITECTURE ".so"},
};

// Empty: it is not installed.
std::string PathOf(const Allocator& allocator) {
  std::error_code error;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(allocator.directory, error)) {
    if (absl::StartsWith(entry.path().filename().string(), allocator.file)) return entry.path();
  }
  return "";
}

class AllocatorTest : public RestPluginTest, public testing::WithParamInterface<Allocator> {
 protected:
  void SetUp() override {
    library_ = PathOf(GetParam());
    OKMS_REQUIRE_OR_SKIP(!library_.empty(), "it is not installed: scripts/install-packages test");
  }

  ChildOptions Preloaded() const {
    ChildOptions options;
    options.environment = {absl::StrCat("LD_PRELOAD=", library_)};
    return options;
  }

  void DoTheJob() {
    StartPlugin(Preloaded());
    ASSERT_THAT(AwaitStatus(Code::kOk), IsOk());
    EXPECT_TRUE(plugin().WaitForLine("another malloc than the C library's is preloaded"));
    std::vector<std::string> plaintexts;
    for (std::size_t i = 0; i < kClients * kRounds; ++i) {
      plaintexts.push_back(NewPlaintext(i % 8 == 0 ? 256 : 32));
    }
    std::atomic<std::size_t> successes = 0;
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < kClients; ++i) {
      threads.emplace_back([&, i] {
        const std::unique_ptr<KmsClient> client = NewClient();
        for (std::size_t round = 0; round < kRounds; ++round) {
          const std::string& plaintext = plaintexts[i * kRounds + round];
          const auto record = client->Encrypt(plaintext);
          const auto back = record.ok() ? client->Decrypt(*record) : record.status();
          if (back.ok() && *back == plaintext) ++successes;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(successes, kClients * kRounds);
    EXPECT_EQ(StopPlugin(), 0);
  }

 private:
  std::string library_;
};

INSTANTIATE_TEST_SUITE_P(, AllocatorTest, testing::ValuesIn(kAllocators),
                         [](const auto& test) { return test.param.name; });

TEST_P(AllocatorTest, OverKmip) {
  UseKmip();
  StartKms();
  DoTheJob();
}

TEST_P(AllocatorTest, OverRest) {
  StartOkms();
  DoTheJob();
}

TEST_P(AllocatorTest, PrintsItsVersion) {
  ChildOptions options = Preloaded();
  options.argv = {PluginProgram(), "--version"};
  const Ended ended = RunToEnd(std::move(options));
  EXPECT_EQ(ended.exit_status, 0) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("okms-k8s-encryption-provider "));
}

}  // namespace
}  // namespace okms::test
