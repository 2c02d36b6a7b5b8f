// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What the plugin's memory holds one second after the last answer, while all connections are still
// open: no plaintext, neither in use nor left behind in a buffer, on the heap or on a stack.
//
// The client and the KMS are in this process, and only the plugin's memory is read: all that it may
// write to. Their canaries are distinct, and begin with, and have in their middle, the same eight
// random bytes: what is looked for is that mark, so that half of a canary is found as well.

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "integration/http_front.h"
#include "integration/rest_plugin_test.h"

namespace okms::test {
namespace {

using testing::IsEmpty;

constexpr std::size_t kClients = 8;
constexpr std::size_t kRounds = 64;  // of Encrypt and Decrypt, by each client
constexpr std::size_t kMarkSize = 8;

// How long after the last answer something may still be there.
constexpr std::chrono::seconds kPromise{1};

struct Mapping {
  uint64_t begin = 0;
  uint64_t end = 0;
  std::string name;
};

// What a process may write to, by proc(5) maps: "BEGIN-END rw-p OFFSET DEVICE INODE NAME".
std::vector<Mapping> WritableMappings(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/maps"));
  std::vector<Mapping> mappings;
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> fields = absl::StrSplit(line, ' ', absl::SkipEmpty());
    const std::vector<std::string> range = absl::StrSplit(fields.at(0), '-');
    if (!absl::StartsWith(fields.at(1), "rw")) continue;
    mappings.push_back({std::stoull(range.at(0), nullptr, 16),
                        std::stoull(range.at(1), nullptr, 16),
                        fields.size() > 5 ? fields[5] : "memory without a name"});
  }
  return mappings;
}

// Where any of `needles` is in the memory of a process, with what is around it; one line a place.
std::vector<std::string> Places(pid_t pid, const std::vector<std::string>& needles) {
  const UniqueFd memory(::open(absl::StrCat("/proc/", pid, "/mem").c_str(), O_RDONLY | O_CLOEXEC));
  Must(static_cast<bool>(memory), "cannot open the plugin's memory");
  std::vector<std::string> places;
  std::size_t total = 0;
  std::string bytes;
  for (const Mapping& mapping : WritableMappings(pid)) {
    bytes.resize(mapping.end - mapping.begin);
    const ssize_t size =
        ::pread(memory.get(), bytes.data(), bytes.size(), static_cast<off_t>(mapping.begin));
    if (size <= 0) continue;  // gone meanwhile
    const absl::string_view text(bytes.data(), static_cast<std::size_t>(size));
    total += text.size();
    for (const std::string& needle : needles) {
      for (std::size_t at = text.find(needle); at != absl::string_view::npos;
           at = text.find(needle, at + 1)) {
        const std::size_t from = at - std::min<std::size_t>(at, 64);
        places.push_back(absl::StrCat(absl::Hex(mapping.begin + at), " in ", mapping.name, ": ",
                                      absl::CHexEscape(text.substr(from, 160))));
      }
    }
  }
  Must(total > 1'000'000, "the plugin's memory cannot be read");
  return places;
}

// `mark` itself, and the part of its Base64 that is the same whatever stands before and after it:
// three forms by where it begins, each in both alphabets.
std::vector<std::string> Forms(const std::string& mark) {
  std::vector<std::string> forms{mark};
  for (std::size_t before = 0; before < 3; ++before) {
    const std::string text = absl::StrCat(std::string(before, '\0'), mark, std::string(2, '\0'));
    const std::size_t first = (8 * before + 5) / 6;
    const std::size_t last = 8 * (before + mark.size()) / 6;
    const std::string form = absl::Base64Escape(text).substr(first, last - first);
    forms.push_back(form);
    forms.push_back(absl::StrReplaceAll(form, {{"+", "-"}, {"/", "_"}}));
  }
  return forms;
}

class MemoryTest : public RestPluginTest {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can look into the plugin's memory";
  }

  // More than a thousand operations from connections that stay open, as the apiserver's do.
  void Load() {
    std::vector<std::string> canaries;
    for (std::size_t i = 0; i < kClients * kRounds; ++i) {
      canaries.push_back(absl::StrCat(mark_, NewPlaintext(8), mark_, NewPlaintext(8)));
    }
    std::atomic<int> failures = 0;
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < kClients; ++i) {
      clients_.push_back(NewClient());
      threads.emplace_back([&, i] {
        for (std::size_t round = 0; round < kRounds; ++round) {
          const std::string& canary = canaries[i * kRounds + round];
          const auto record = clients_[i]->Encrypt(canary);
          const auto back = record.ok() ? clients_[i]->Decrypt(*record) : record.status();
          if (!back.ok() || *back != canary) ++failures;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_EQ(failures, 0);
  }

  // Looks until all is clean, for as long as the promise lets it take.
  void ExpectClean() {
    const std::vector<std::string> forms = Forms(mark_);
    const Deadline deadline = Clock::now() + kPromise;
    std::vector<std::string> places;
    bool last = false;
    do {
      last = Expired(deadline);
      places = Places(plugin().pid(), forms);
    } while (!places.empty() && !last);
    EXPECT_THAT(places, IsEmpty());
  }

  const std::string mark_ = NewPlaintext(kMarkSize);

 private:
  std::vector<std::unique_ptr<KmsClient>> clients_;
};

TEST_F(MemoryTest, IsCleanOneSecondAfterTheLastCallOverKmip) {
  UseKmip();
  StartKms();
  StartReady();
  Load();
  ExpectClean();
}

TEST_F(MemoryTest, IsCleanOneSecondAfterTheLastCallOverHttp1) {
  StartOkms();
  StartReady();
  Load();
  ExpectClean();
}

// Where all calls share one connection, whose buffers in libcurl and nghttp2 keep what came last
// for as long as it is open.
TEST_F(MemoryTest, IsCleanOneSecondAfterTheLastCallOverHttp2) {
  OKMS_REQUIRE_NGINX();
  StartOkms();
  const auto front = Must(HttpFront::Start(
      {.upstream_port = port(), .ca = pki_.ca(), .server = server_pair_, .client = client_pair_}));
  flags_["--serv-addr"] = front->url();
  StartReady();
  Load();
  ExpectClean();
}

// The search itself: what the plugin surely has in its memory is found in each form.
TEST_F(MemoryTest, TheSearchFindsWhatIsThere) {
  StartOkms();
  StartReady();
  const std::string known = kKeyId;
  EXPECT_FALSE(Places(plugin().pid(), {known}).empty());
  for (const char* before : {"", "a", "ab"}) {
    const std::string text = absl::Base64Escape(absl::StrCat(before, mark_, "and more"));
    const std::vector<std::string> forms = Forms(mark_);
    EXPECT_TRUE(std::any_of(forms.begin() + 1, forms.end(), [&](const std::string& form) {
      return absl::StrContains(text, form);
    })) << before;
  }
}

}  // namespace
}  // namespace okms::test
