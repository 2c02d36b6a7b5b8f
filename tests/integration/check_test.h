// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What `okms-kms-ctl check` says of a configuration of which one thing is broken.

#ifndef OKMS_TESTS_INTEGRATION_CHECK_TEST_H_
#define OKMS_TESTS_INTEGRATION_CHECK_TEST_H_

#include <map>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "integration/rest_plugin_test.h"

namespace okms::test {

// One kind of broken configuration.
struct Broken {
  std::string name;  // of the test
  // Breaks what is whole: the files of the test, a mock KMS of KMIP with key-1, which runs, and
  // flags_ for both.
  void (*spoil)(class CheckTest& test);
  // What is said then, and nothing else is but "passed": DIR stands for the test's folder, PORT for
  // the KMS's, DATE for a date and a time.
  std::string id;
  std::string outcome;
  std::string line;
  std::vector<std::string> blocks = {};  // each of which is skipped
  int exit_code = 1;                     // 3: the plugin does not run, which is all that is left
  std::vector<std::string> also = {};    // what it may have to do with as well
};

inline void PrintTo(const Broken& broken, std::ostream* out) { *out << broken.name; }

// One list after the other.
inline std::vector<std::string> With(std::vector<std::string> some,
                                     const std::vector<std::string>& more) {
  some.insert(some.end(), more.begin(), more.end());
  return some;
}

class CheckTest : public RestPluginTest {
 public:
  struct Said {
    std::string outcome;
    std::string line;
    std::string mend;
    std::vector<std::string> blocks;
  };
  struct Report {
    std::optional<int> exit_code;
    std::multimap<std::string, Said> findings;  // by id
    std::string text;                           // all that was written
    // The only one of that id.
    Said at(const std::string& id) const;
  };

  // Without the word `ctl` itself: "check", and what follows; after it, -- and flags_.
  Report Check(std::vector<std::string> options = {}, std::vector<std::string> environment = {});
  // The same with those arguments alone; it writes what no JSON is.
  Ended Ctl(std::vector<std::string> arguments, std::vector<std::string> environment = {});
  std::string Plain(std::string text) const;  // with DIR, PORT and DATE in it
  std::string Write(const std::string& name, const std::string& text, unsigned mode = 0600);

  static std::string Content(const std::string& path);
  // Has flags_ name them as ours.
  void UsePair(const KeyPairFiles& pair);

  // What a row needs of it.
  using PluginTest::client_pair_;
  using PluginTest::dir_;
  using PluginTest::flags_;
  using PluginTest::key_;
  using PluginTest::kms;
  using PluginTest::pki_;
  using PluginTest::port;
  using PluginTest::server_pair_;
  using PluginTest::SetFault;
  using PluginTest::SetKeyState;
  using PluginTest::StartKms;
  using PluginTest::StopKms;
  using PluginTest::UseLabel;
  using RestPluginTest::kKeyId;
  using RestPluginTest::Put;
  using RestPluginTest::SetRestFault;
  using RestPluginTest::StartOkms;
  // From KMIP to REST, all well.
  void UseRest();

 protected:
  CheckTest() { UseKmip(); }
};

class CheckTable : public CheckTest, public testing::WithParamInterface<Broken> {
 protected:
  void Run();
};

}  // namespace okms::test

#endif  // OKMS_TESTS_INTEGRATION_CHECK_TEST_H_
