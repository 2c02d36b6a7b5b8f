// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "app/key_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "app/protocols.h"
#include "support/temp_dir.h"

namespace okms {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Lines = std::vector<std::pair<Severity, std::string>>;

class KeyFileTest : public testing::Test {
 protected:
  KeyFileTest() { Write("key-1\n"); }

  static Config ConfigFor(const std::string& path) {
    Config config;
    config.protocol = &Protocols().front();
    config.key_id = "key-1";
    if (!path.empty()) config.key_id_file = {"--encryption-key-id-file", path};
    return config;
  }
  void Write(const std::string& content) { std::ofstream(path_) << content; }
  void WriteAndRead(const std::string& content) {
    Write(content);
    file_.Read();
  }
  std::string Of(const std::string& why) const {
    return absl::StrCat("--encryption-key-id-file ", path_, ": ", why);
  }

  const test::TempDir folder_;
  const std::string path_ = folder_ / "id";
  const Config config_ = ConfigFor(path_);
  Lines log_;
  const Logger logger_{
      true, [this](const Event& event) { log_.emplace_back(event.severity, event.text); }};
  std::vector<std::string> used_;
  KeyFile file_{config_, logger_, [this](const KeyId& id) {
                  EXPECT_EQ(id.option, "--encryption-key-id-file");
                  used_.push_back(id.value);
                }};
};

TEST_F(KeyFileTest, EachOtherIdIsUsedOnce) {
  file_.Read();
  EXPECT_THAT(used_, IsEmpty()) << "it is the one of the start";
  WriteAndRead("key-2\n");
  WriteAndRead("  key-2");
  EXPECT_THAT(used_, ElementsAre("key-2"));
  WriteAndRead("key-1\n");
  EXPECT_THAT(used_, ElementsAre("key-2", "key-1"));
  EXPECT_THAT(log_, IsEmpty()) << "what comes of it is said elsewhere";
}

TEST_F(KeyFileTest, OneThatCannotBeUsedChangesNothingAndIsSaidOnce) {
  WriteAndRead("");
  file_.Read();
  EXPECT_THAT(used_, IsEmpty());
  EXPECT_EQ(file_.trouble(), Of("is empty; write the id of the key into it"));
  EXPECT_EQ(
      log_,
      (Lines{{Severity::kError, Of("is empty; write the id of the key into it; what it held before "
                                   "counts on: key key-1")}}));
  log_.clear();
  std::filesystem::remove(path_);
  file_.Read();
  EXPECT_EQ(log_, (Lines{{Severity::kError,
                          Of("cannot be read: open: No such file or directory; correct the path; "
                             "what it held before counts on: key key-1")}}));
  log_.clear();
  WriteAndRead("key-1");
  EXPECT_THAT(used_, IsEmpty());
  EXPECT_EQ(file_.trouble(), "");
  EXPECT_EQ(log_, (Lines{{Severity::kNotice, Of("can be used again: it names key key-1")}}));
}

TEST_F(KeyFileTest, AfterTroubleItMayHoldAnotherId) {
  WriteAndRead("");
  log_.clear();
  WriteAndRead("key-2");
  EXPECT_THAT(used_, ElementsAre("key-2"));
  EXPECT_EQ(log_, (Lines{{Severity::kNotice, Of("can be used again: it names key key-2")}}));
}

TEST_F(KeyFileTest, WithoutOneThereIsNothingToRead) {
  const Config config = ConfigFor("");
  KeyFile none(config, logger_, [](const KeyId&) { FAIL(); });
  none.Read();
  EXPECT_FALSE(none.is_there());
  EXPECT_TRUE(file_.is_there());
  EXPECT_THAT(log_, IsEmpty());
}

}  // namespace
}  // namespace okms
