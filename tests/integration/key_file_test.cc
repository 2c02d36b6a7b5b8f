// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The key by a file that holds its id, and that is read again.

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "integration/rest_plugin_test.h"
#include "mock_kms/aes_gcm.h"

namespace okms::test {
namespace {

namespace fs = std::filesystem;

using testing::HasSubstr;

// A new key is seen at once and for the second time 5 seconds later; with room for a busy machine.
constexpr std::chrono::seconds kTwoChecks{40};

class KeyFileTest : public RestPluginTest {
 protected:
  KeyFileTest() {
    // The plugin may be another user.
    fs::permissions(dir_.path(), fs::perms(0711));
    flags_.erase("--encryption-key-id");
    flags_["--encryption-key-id-file"] = path_;
  }

  // In place at once, as whoever puts a file in place should.
  void Write(const std::string& content, const std::string& name = "key-id") {
    std::ofstream(dir_ / "new") << content;
    fs::permissions(dir_ / "new", fs::perms(0644));
    fs::rename(dir_ / "new", dir_ / name);
  }
  void Hangup() { plugin().Signal(SIGHUP); }
  void NameIt(const std::string& id) {
    Write(id + "\n");
    Hangup();
  }
  void ExpectLine(const std::string& line) {
    EXPECT_TRUE(plugin().WaitForLine(line)) << line << "\nis missing in:\n" << plugin().Err();
  }
  void ExpectLineOnce(const std::string& line) {
    ExpectLine(line);
    const std::string log = plugin().Err();
    EXPECT_EQ(log.find(line), log.rfind(line)) << line << "\nis there twice in:\n" << log;
  }
  // That the key in use is the one that it was.
  void ExpectKeyInUse(const std::string& id) {
    const auto status = client().Status();
    ASSERT_THAT(status, IsOk());
    EXPECT_EQ(status->key_id, id);
    const auto record = client().Encrypt(NewPlaintext());
    ASSERT_THAT(record, IsOk());
    EXPECT_EQ(record->key_id, id);
  }

  const std::string path_ = dir_ / "key-id";
};

class KmipKeyFileTest : public KeyFileTest {
 protected:
  KmipKeyFileTest() {
    UseKmip();
    flags_.erase("--encryption-key-id");
    Write("key-1\n");
    StartKms();
  }
  void Put(const std::string& key) { kms().handler().Put(Must(ParseMockKey(key))); }
  // Whether it was encrypted with the very key that it names, as only the KMS can know.
  bool IsOfItsKey(const Record& record, const std::string& plaintext) {
    const auto key = kms().handler().keys().Find(record.key_id);
    const auto iv = record.annotations.find("iv.okms.ovh.com");
    if (!key || iv == record.annotations.end() || record.ciphertext.size() < 16) return false;
    const ByteView bytes = AsBytes(record.ciphertext);
    const auto opened = GcmDecrypt(AsBytes(key->material), AsBytes(iv->second), {},
                                   bytes.first(bytes.size() - 16), bytes.last(16));
    return opened && *opened == plaintext;
  }
};

// Callers without pause; what goes wrong is counted.
class Load {
 public:
  Load(std::vector<std::unique_ptr<KmsClient>> clients, std::string plaintext,
       std::function<bool(const Record&, const std::string&)> is_right)
      : clients_(std::move(clients)), plaintext_(std::move(plaintext)), is_right_(is_right) {
    for (const auto& client : clients_) {
      threads_.emplace_back([this, &client] {
        while (!stop_) Call(*client);
      });
    }
  }
  ~Load() { Stop(); }
  void Stop() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  int failed() const { return failed_; }
  int wrong() const { return wrong_; }
  int done() const { return done_; }

 private:
  void Call(KmsClient& client) {
    const auto record = client.Encrypt(plaintext_);
    const auto back = record.ok() ? client.Decrypt(*record) : record.status();
    if (!back.ok()) {
      ++failed_;
    } else if (*back != plaintext_ || !is_right_(*record, plaintext_)) {
      ++wrong_;
    }
    ++done_;
  }

  const std::vector<std::unique_ptr<KmsClient>> clients_;
  const std::string plaintext_;
  const std::function<bool(const Record&, const std::string&)> is_right_;
  std::atomic<bool> stop_ = false;
  std::atomic<int> failed_ = 0;
  std::atomic<int> wrong_ = 0;
  std::atomic<int> done_ = 0;
  std::vector<std::thread> threads_;
};

TEST_F(KmipKeyFileTest, KeysChangeUnderLoadAndNoCallIsLost) {
  Put("id=key-2");
  Put("id=key-3");
  StartReady();
  const std::string plaintext = NewPlaintext();
  const auto old_record = client().Encrypt(plaintext);
  ASSERT_THAT(old_record, IsOk());
  ASSERT_EQ(old_record->key_id, "key-1");

  std::vector<std::unique_ptr<KmsClient>> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(NewClient());
  Load load(std::move(clients), NewPlaintext(),
            [this](const Record& record, const auto& text) { return IsOfItsKey(record, text); });

  NameIt("key-2");
  ASSERT_TRUE(AwaitKey("key-2", kTwoChecks)) << plugin().Err();
  ExpectLineOnce(
      "notice: the key's name leads to key key-2 now, which is being proven; key key-1 stays in "
      "use");
  ExpectLineOnce("notice: key key-2 works and is to be adopted; key key-1 stays in use");
  ExpectLineOnce("notice: ready: key key-2 encrypts and decrypts; it replaces key key-1");

  // Back, and forth to a third one.
  NameIt("key-1");
  ExpectLine(
      "notice: key key-1 works and is to be adopted again when its name has stayed for 3 minutes; "
      "key key-2 stays in use");
  NameIt("key-3");
  ASSERT_TRUE(AwaitKey("key-3", kTwoChecks)) << plugin().Err();
  ExpectLineOnce("notice: ready: key key-3 encrypts and decrypts; it replaces key key-2");

  const auto back = client().Decrypt(*old_record);
  ASSERT_THAT(back, IsOk());
  EXPECT_TRUE(*back == plaintext);
  ExpectLine("notice: a record of key key-1 was decrypted: it is still needed beside key key-3");
  load.Stop();
  EXPECT_GT(load.done(), 0);
  EXPECT_EQ(load.failed(), 0);
  EXPECT_EQ(load.wrong(), 0);
  ExpectKeyInUse("key-3");
}

TEST_F(KmipKeyFileTest, AnIdThatIsOfNoUseIsSaidWithItsReasonAndChangesNothing) {
  Put("id=deactivated,state=Deactivated");
  Put("id=encrypts-only,usage=encrypt");
  MockKey certificate = Must(ParseMockKey("id=certificate"));
  certificate.object_type = kmip::ObjectType::kCertificate;
  kms().handler().Put(certificate);
  StartReady();
  for (const auto& [id, why] : std::vector<std::pair<std::string, std::string>>{
           {"nowhere", "--encryption-key-id-file: key nowhere: "},
           {"deactivated", "key deactivated is in state Deactivated, not Active"},
           {"encrypts-only", "key encrypts-only may not Decrypt by its usage mask"},
           {"certificate", "key certificate is no symmetric key"}}) {
    NameIt(id);
    ExpectLine(absl::StrCat("error: trouble with the key's name: ", why));
    ExpectKeyInUse("key-1");
  }
  NameIt("key-1");
  ExpectLine("notice: the key's name leads to key key-1 again");
  ExpectKeyInUse("key-1");
}

TEST_F(KmipKeyFileTest, AFileThatIsOfNoUseIsSaidOnceAndChangesNothing) {
  Put("id=key-2");
  StartReady();
  const std::string file = absl::StrCat("--encryption-key-id-file ", path_);
  const std::string counts_on = "; what it held before counts on: key key-1";
  fs::remove(path_);
  Hangup();
  const std::string gone =
      absl::StrCat("error: ", file, ": cannot be read: open: No such file or directory; ",
                   "correct the path", counts_on);
  ExpectLine(gone);
  Hangup();
  ASSERT_EQ(::mkfifo(path_.c_str(), 0644), 0);
  Hangup();
  ExpectLine(absl::StrCat("error: ", file, ": is no regular file; name the file that holds the id",
                          counts_on));
  ExpectLineOnce(gone);
  NameIt("key-1\nkey-2");
  ExpectLine(absl::StrCat("error: ", file,
                          ": has several lines; it must hold the id of the key and nothing else",
                          counts_on));
  ExpectKeyInUse("key-1");
  NameIt("key-2");
  ExpectLine(absl::StrCat("notice: ", file, ": can be used again: it names key key-2"));
  EXPECT_TRUE(AwaitKey("key-2", kTwoChecks)) << plugin().Err();
}

// As Kubernetes replaces files that it mounts: by another folder, to which a link in the way leads.
TEST_F(KmipKeyFileTest, AFolderMayBeReplacedAboveIt) {
  Put("id=key-2");
  for (const char* folder : {"first", "second"}) {
    fs::create_directory(dir_ / folder);
    fs::permissions(dir_ / folder, fs::perms(0755));
  }
  Write("key-1", "first/id");
  Write("key-2", "second/id");
  fs::create_symlink("first", dir_ / "data");
  fs::remove(path_);
  fs::create_symlink("data/id", path_);
  StartReady();
  fs::create_symlink("second", dir_ / "next");
  fs::rename(dir_ / "next", dir_ / "data");
  fs::remove_all(dir_ / "first");
  Hangup();
  EXPECT_TRUE(AwaitKey("key-2", kTwoChecks)) << plugin().Err();
}

TEST_F(KmipKeyFileTest, ItsPathMayBeRelative) {
  Put("id=key-2");
  const fs::path before = fs::current_path();
  fs::current_path(dir_.path());
  flags_["--encryption-key-id-file"] = "key-id";
  StartReady();
  fs::current_path(before);
  NameIt("key-2");
  EXPECT_TRUE(AwaitKey("key-2", kTwoChecks)) << plugin().Err();
}

// Root can read it at the start, and the plugin's user cannot later: better known before it
// matters.
TEST_F(KmipKeyFileTest, ThatItCannotBeReadAgainIsSaidAtTheStart) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can read what the plugin cannot";
  fs::permissions(path_, fs::perms(0600));
  StartReady();
  ExpectLineOnce(absl::StrCat("error: --encryption-key-id-file ", path_,
                              ": cannot be read: open: Permission denied; let this service's user "
                              "read it; what it held before counts on: key key-1"));
  ExpectKeyInUse("key-1");
}

// Nothing is lost as long as there is no key.
TEST_F(KmipKeyFileTest, WithoutAKeyThatWorksItsTurnIsAtOnce) {
  Write("nowhere");
  StartPlugin();
  EXPECT_THAT(AwaitStatus(Code::kNotFound),
              StatusIs(Code::kNotFound, HasSubstr("--encryption-key-id-file: key nowhere")));
  NameIt("key-1");
  EXPECT_TRUE(AwaitKey("key-1")) << plugin().Err();
}

TEST_F(KmipKeyFileTest, WhatIsWrongWithItIsAMistakeOfTheCommandLine) {
  fs::remove(path_);
  for (const bool check : {false, true}) {
    if (check) flags_["--check-config"] = "";
    const Ended ended = RunToEnd();
    EXPECT_EQ(ended.exit_status, 2);
    EXPECT_THAT(ended.err,
                HasSubstr(absl::StrCat("error: --encryption-key-id-file ", path_,
                                       ": cannot be read: open: No such file or directory")));
  }
}

TEST_F(KeyFileTest, OverRest) {
  Write(absl::StrCat(kKeyId, "\n"));
  keys_.Put(Must(ParseMockKey(absl::StrCat("id=", kOtherKeyId))));
  StartOkms();
  StartReady();
  NameIt("kek");
  ExpectLine(
      "holds kek: no UUID, as the REST API has; give the id of a service key; what it held "
      "before counts on");
  ExpectKeyInUse(kKeyId);
  NameIt(kOtherKeyId);
  EXPECT_TRUE(AwaitKey(kOtherKeyId, kTwoChecks)) << plugin().Err();
}

}  // namespace
}  // namespace okms::test
