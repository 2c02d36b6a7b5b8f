// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "app/protocols.h"
#include "support/status_is.h"
#include "support/temp_dir.h"
#include "unit/environment.h"
#include "version.h"

namespace okms {
namespace {

using namespace std::chrono_literals;
using test::IsOk;
using test::ScopedVariable;
using test::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Arguments = std::vector<std::string>;

constexpr const char* kVariables[] = {
    "OKMS_PROTOCOL",    "OKMS_SERV_ADDR",     "OKMS_TIMEOUT",
    "OKMS_ID",          "OKMS_KEY_ID",        "OKMS_KEY_LABEL",
    "OKMS_CA_CERT",     "OKMS_SOCK",          "OKMS_DEBUG",
    "OKMS_CLIENT_CERT", "OKMS_CLIENT_KEY",    "OKMS_SOCK_GROUP",
    "OKMS_ALLOW_UID",   "OKMS_ALLOW_GID",     "OKMS_CA_ONLY",
    "OKMS_USER",        "OKMS_LABEL_GRACE",   "OKMS_MAX_CONNECTIONS",
    "OKMS_KEY_ID_FILE", "OKMS_STATUS_LISTEN", "OKMS_STATUS_LISTEN_ANYWHERE"};

constexpr char kOkmsId[] = "0123abcd-4567-89ef-0123-456789abcdef";
constexpr char kKeyId[] = "11111111-2222-3333-4444-555555555555";

// Every test begins with none of our variables set, and none like them.
class ConfigTest : public ::testing::Test {
 protected:
  ConfigTest() {
    std::vector<std::string> names;
    for (char** entry = environ; *entry != nullptr; ++entry) {
      const std::string text = *entry;
      if (text.rfind("OKMS_", 0) == 0) names.push_back(text.substr(0, text.find('=')));
    }
    for (const std::string& name : names) Set(name, std::nullopt);
    Set("CREDENTIALS_DIRECTORY", std::nullopt);
  }
  ~ConfigTest() override {
    while (!variables_.empty()) variables_.pop_back();  // the last one set is put back first
  }

  void Set(const std::string& name, std::optional<std::string> value) {
    variables_.push_back(std::make_unique<ScopedVariable>(name, std::move(value)));
  }

  static absl::StatusOr<std::variant<Config, Printout>> ParseAny(Arguments arguments) {
    arguments.insert(arguments.begin(), "okms-k8s-encryption-provider");
    return ParseConfig(arguments, Protocols());
  }
  static absl::StatusOr<Config> Parse(Arguments arguments) {
    auto parsed = ParseAny(std::move(arguments));
    if (!parsed.ok()) return parsed.status();
    if (auto* config = std::get_if<Config>(&*parsed)) return *std::move(config);
    return absl::InternalError("a printout");
  }

  // What is required, then `more`.
  static Arguments Minimal(const Arguments& more = {}) {
    Arguments arguments{"--protocol=kmip", "--serv-addr=kms:5696", "--encryption-key-id=key-1",
                        "--client-cert=/c.pem", "--client-key=/c.key"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  static Arguments MinimalRest(const Arguments& more = {}) {
    Arguments arguments{"--protocol=rest",      "--serv-addr=https://kms",
                        OkmsIdFlag(kOkmsId),    absl::StrCat("--encryption-key-id=", kKeyId),
                        "--client-cert=/c.pem", "--client-key=/c.key"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  static std::string OkmsIdFlag(const std::string& id) { return absl::StrCat("--okms-id=", id); }
  // `arguments` without some of their flags.
  static Arguments Without(const Arguments& flags, Arguments arguments) {
    arguments.erase(std::remove_if(arguments.begin(), arguments.end(),
                                   [&](const std::string& argument) {
                                     return std::count(flags.begin(), flags.end(),
                                                       argument.substr(0, argument.find('='))) > 0;
                                   }),
                    arguments.end());
    return arguments;
  }

 private:
  std::vector<std::unique_ptr<ScopedVariable>> variables_;
};

TEST_F(ConfigTest, DefaultsAreThoseOfTheGoPlugin) {
  const auto config = Parse(Minimal());
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->servers.front().host.host, "kms");
  EXPECT_EQ(config->servers.front().host.port, 5696);
  EXPECT_EQ(config->socket.path, "/var/run/okms_etcd_plugin.sock");
  EXPECT_EQ(config->socket.abstract_name, "");
  EXPECT_EQ(config->socket_group, std::nullopt);
  EXPECT_THAT(config->allowed_uids, IsEmpty());
  EXPECT_THAT(config->allowed_gids, IsEmpty());
  EXPECT_EQ(config->timeout, 10s);
  EXPECT_EQ(config->max_connections, 0U);
  EXPECT_EQ(config->label_grace, 15min);
  EXPECT_EQ(config->log_format, LogFormat::kAuto);
  EXPECT_EQ(config->key_id, "key-1");
  EXPECT_EQ(config->key_label, "");
  EXPECT_EQ(config->tls.client_cert.option, "--client-cert");
  EXPECT_EQ(config->tls.client_cert.path, "/c.pem");
  EXPECT_EQ(config->tls.client_key.option, "--client-key");
  EXPECT_EQ(config->tls.client_key.path, "/c.key");
  EXPECT_EQ(config->tls.ca.option, "--ca");
  EXPECT_EQ(config->tls.ca.path, "");
  EXPECT_TRUE(config->tls.only_ca);
  EXPECT_EQ(config->protocol->name, "kmip");
  EXPECT_EQ(config->servers.front().url, "");
  EXPECT_EQ(config->okms_id, "");
  EXPECT_FALSE(config->debug);
}

TEST_F(ConfigTest, DefaultsWithRest) {
  const auto config = Parse(MinimalRest());
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->protocol->name, "rest");
  EXPECT_EQ(config->servers.front().host.host, "kms");
  EXPECT_EQ(config->servers.front().host.port, 443);
  EXPECT_EQ(config->servers.front().url, "https://kms");
  EXPECT_EQ(config->okms_id, kOkmsId);
  EXPECT_EQ(config->socket.path, "/var/run/okms_etcd_plugin.sock");
  EXPECT_EQ(config->timeout, 10s);
  EXPECT_EQ(config->key_id, kKeyId);
  EXPECT_EQ(config->key_label, "");
  EXPECT_EQ(config->tls.client_cert.option, "--client-cert");
  EXPECT_EQ(config->tls.client_cert.path, "/c.pem");
  EXPECT_EQ(config->tls.client_key.option, "--client-key");
  EXPECT_EQ(config->tls.client_key.path, "/c.key");
  EXPECT_EQ(config->tls.ca.option, "--ca");
  EXPECT_EQ(config->tls.ca.path, "");
  EXPECT_FALSE(config->tls.only_ca);
}

// One option: its flags, its variable, two values, and what shows which one was taken.
struct OptionCase {
  const char* name;
  Arguments flags;
  const char* variable;
  std::string first;
  std::string second;
  std::function<std::string(const Config&)> shown;
  // As `shown` gives them, when not as they were written.
  std::string first_shown;
  std::string second_shown;
  bool is_the_key = false;
  bool rest = false;       // it counts with that protocol
  bool is_switch = false;  // as in Go, its value follows only an equals sign
  bool is_list = false;    // of several, each counts
};

void PrintTo(const OptionCase& option, std::ostream* out) { *out << option.name; }

std::vector<OptionCase> Options() {
  std::vector<OptionCase> options{
      {"ServAddr",
       {"--serv-addr", "--kmip-addr"},
       "OKMS_SERV_ADDR",
       "one:1",
       "two:2",
       [](const Config& c) { return c.KmsName(); },
       {},
       {},
       false,
       false,
       false,
       true},
      {"User",
       {"--user"},
       "OKMS_USER",
       "okms-kms",
       "123:456",
       [](const Config& c) { return c.user; },
       {},
       {}},
      {"Timeout",
       {"--timeout"},
       "OKMS_TIMEOUT",
       "1s",
       "2s",
       [](const Config& c) { return absl::StrCat(c.timeout / 1s, "s"); },
       {},
       {}},
      {"MaxConnections",
       {"--max-connections"},
       "OKMS_MAX_CONNECTIONS",
       "1",
       "64",
       [](const Config& c) { return absl::StrCat(c.max_connections); },
       {},
       {}},
      {"LabelGrace",
       {"--label-grace"},
       "OKMS_LABEL_GRACE",
       "1s",
       "2s",
       [](const Config& c) { return absl::StrCat(c.label_grace / 1s, "s"); },
       {},
       {}},
      {"LogFormat",
       {"--log-format"},
       "OKMS_LOG_FORMAT",
       "json",
       "text",
       [](const Config& c) {
         return std::string(c.log_format == LogFormat::kJson ? "json" : "text");
       },
       {},
       {}},
      {"KeyId",
       {"--encryption-key-id", "--kmip-key-id"},
       "OKMS_KEY_ID",
       "id-1",
       "id-2",
       [](const Config& c) { return c.key_id; },
       {},
       {},
       true},
      {"KeyLabel",
       {"--encryption-key-label"},
       "OKMS_KEY_LABEL",
       "label one",
       "label two",
       [](const Config& c) { return c.key_label; },
       {},
       {},
       true},
      {"ClientCert",
       {"--client-cert"},
       "OKMS_CLIENT_CERT",
       "/1.pem",
       "/2.pem",
       [](const Config& c) { return c.tls.client_cert.path; },
       {},
       {}},
      {"ClientKey",
       {"--client-key"},
       "OKMS_CLIENT_KEY",
       "/1.key",
       "/2.key",
       [](const Config& c) { return c.tls.client_key.path; },
       {},
       {}},
      {"Ca",
       {"--ca"},
       "OKMS_CA_CERT",
       "/ca1.pem",
       "/ca2.pem",
       [](const Config& c) { return c.tls.ca.path; },
       {},
       {}},
      {"Sock",
       {"--sock"},
       "OKMS_SOCK",
       "/run/1.sock",
       "unix:///run/2.sock",
       [](const Config& c) { return c.socket.ToString(); },
       "/run/1.sock",
       "/run/2.sock"},
      {"SockGroup",
       {"--sock-group"},
       "OKMS_SOCK_GROUP",
       "root",
       "7",
       [](const Config& c) { return c.socket_group ? absl::StrCat(c.socket_group->id) : ""; },
       "0",
       "7"},
      {"Debug",
       {"--debug"},
       "OKMS_DEBUG",
       "false",
       "true",
       [](const Config& c) { return std::string(c.debug ? "true" : "false"); },
       {},
       {},
       false,
       false,
       true},
      {"OkmsId",
       {"--okms-id"},
       "OKMS_ID",
       kKeyId,
       "urn:uuid:0123ABCD-4567-89EF-0123-456789ABCDEF",
       [](const Config& c) { return c.okms_id; },
       {},
       kOkmsId,
       false,
       true},
      {"Url",
       {"--serv-addr"},
       "OKMS_SERV_ADDR",
       "https://one",
       "https://two:8443/path/",
       [](const Config& c) {
         return absl::StrCat(c.KmsName(), " ", c.servers.front().host.ToString());
       },
       "https://one one:443",
       "https://two:8443/path two:8443",
       false,
       true,
       false,
       true},
      {"CaOnly",
       {"--ca-only"},
       "OKMS_CA_ONLY",
       "false",
       "true",
       [](const Config& c) { return std::string(c.tls.only_ca ? "true" : "false"); },
       {},
       {},
       false,
       true,
       true},
  };
  for (OptionCase& option : options) {
    if (option.first_shown.empty()) option.first_shown = option.first;
    if (option.second_shown.empty()) option.second_shown = option.second;
  }
  return options;
}

class OptionTest : public ConfigTest, public ::testing::WithParamInterface<OptionCase> {
 protected:
  // All that is required except the option under test, then `more`.
  absl::StatusOr<Config> ParseWith(const Arguments& more) {
    Arguments flags = GetParam().flags;
    if (GetParam().is_the_key) flags.push_back("--encryption-key-id");
    Arguments arguments =
        Without(flags, GetParam().rest ? MinimalRest({"--ca=/x.pem"}) : Minimal());
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Parse(arguments);
  }
  void ExpectFirst(const Arguments& more) { Expect(more, GetParam().first_shown); }
  void ExpectSecond(const Arguments& more) { Expect(more, GetParam().second_shown); }

 private:
  void Expect(const Arguments& more, const std::string& expected) {
    const auto config = ParseWith(more);
    ASSERT_THAT(config, IsOk()) << ::testing::PrintToString(more);
    EXPECT_EQ(GetParam().shown(*config), expected) << ::testing::PrintToString(more);
  }
};

INSTANTIATE_TEST_SUITE_P(Each, OptionTest, ::testing::ValuesIn(Options()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(OptionTest, FlagTakesItsValueAfterAnEqualsSign) {
  for (const std::string& flag : GetParam().flags) {
    ExpectFirst({absl::StrCat(flag, "=", GetParam().first)});
    ExpectSecond({absl::StrCat(flag, "=", GetParam().second)});
  }
}

TEST_P(OptionTest, FlagTakesTheNextArgument) {
  if (GetParam().is_switch) {
    ExpectSecond({GetParam().flags.front()});
    return;
  }
  for (const std::string& flag : GetParam().flags) ExpectSecond({flag, GetParam().second});
}

TEST_P(OptionTest, OneDashIsEnough) {
  for (const std::string& flag : GetParam().flags) {
    ExpectSecond({absl::StrCat(flag.substr(1), "=", GetParam().second)});
    if (!GetParam().is_switch) ExpectSecond({flag.substr(1), GetParam().second});
  }
}

TEST_P(OptionTest, TheLastOneWins) {
  if (GetParam().is_list) return;  // SeveralServersKeepTheirOrder
  for (const std::string& one : GetParam().flags) {
    for (const std::string& other : GetParam().flags) {
      ExpectSecond(
          {absl::StrCat(one, "=", GetParam().first), absl::StrCat(other, "=", GetParam().second)});
      ExpectFirst(
          {absl::StrCat(one, "=", GetParam().second), absl::StrCat(other, "=", GetParam().first)});
    }
  }
}

TEST_P(OptionTest, VariableStandsInForTheFlag) {
  Set(GetParam().variable, GetParam().second);
  ExpectSecond({});
}

TEST_P(OptionTest, FlagWinsOverTheVariable) {
  Set(GetParam().variable, GetParam().second);
  ExpectFirst({absl::StrCat(GetParam().flags.front(), "=", GetParam().first)});
}

TEST_P(OptionTest, EmptyVariableCountsAsUnset) {
  const auto unset = ParseWith({});
  Set(GetParam().variable, "");
  const auto empty = ParseWith({});
  ASSERT_EQ(empty.status(), unset.status());
  if (unset.ok()) {
    EXPECT_EQ(GetParam().shown(*empty), GetParam().shown(*unset));
  }
}

TEST_F(ConfigTest, SeveralServersKeepTheirOrder) {
  const Arguments others = Without({"--serv-addr"}, Minimal());
  const auto names = [&](const Arguments& more) {
    Arguments arguments = others;
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto config = Parse(arguments);
    return config.ok() ? config->KmsName() : std::string(config.status().message());
  };
  EXPECT_EQ(names({"--serv-addr=b:1,a:2"}), "b:1, a:2");
  EXPECT_EQ(names({"--serv-addr", "b:1, a:2 ,[2001:db8::1]:3"}), "b:1, a:2, [2001:db8::1]:3");
  EXPECT_EQ(names({"--serv-addr=b:1", "--kmip-addr=a:2", "-serv-addr", "c:3"}), "b:1, a:2, c:3");
  Set("OKMS_SERV_ADDR", "b:1,a:2");
  EXPECT_EQ(names({}), "b:1, a:2");
  EXPECT_EQ(names({"--serv-addr=c:3"}), "c:3");
}

TEST_F(ConfigTest, SeveralServersOverRest) {
  Arguments arguments = Without({"--serv-addr"}, MinimalRest());
  arguments.push_back("--serv-addr=https://a,https://b:8443/kms/");
  const auto config = Parse(arguments);
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->KmsName(), "https://a, https://b:8443/kms");
  ASSERT_EQ(config->servers.size(), 2U);
  EXPECT_EQ(config->servers.back().host.ToString(), "b:8443");
}

TEST_F(ConfigTest, ProtocolByFlagAndVariable) {
  const Arguments others = Without({"--protocol"}, Minimal());
  EXPECT_THAT(Parse(others),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "--protocol is missing: give kmip or rest (or set OKMS_PROTOCOL)"));
  Set("OKMS_PROTOCOL", "kmip");
  EXPECT_THAT(Parse(others), IsOk());
  Set("OKMS_PROTOCOL", "rest");
  const auto config = Parse(Minimal());
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->protocol->name, "kmip");
  const auto rest = Parse(Without({"--protocol"}, MinimalRest()));
  ASSERT_THAT(rest, IsOk());
  EXPECT_EQ(rest->protocol->name, "rest");
}

TEST_F(ConfigTest, EverythingByVariables) {
  Set("OKMS_PROTOCOL", "kmip");
  Set("OKMS_SERV_ADDR", "eu-west-rbx.okms.ovh.net:5696");
  Set("OKMS_KEY_LABEL", "etcd");
  Set("OKMS_CLIENT_CERT", "/c.pem");
  Set("OKMS_CLIENT_KEY", "/c.key");
  const auto config = Parse({});
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->servers.front().host.host, "eu-west-rbx.okms.ovh.net");
  EXPECT_EQ(config->key_id, "");
  EXPECT_EQ(config->key_label, "etcd");
}

TEST_F(ConfigTest, OkmsIdIsTakenAndNotUsedWithKmip) {
  EXPECT_THAT(Parse(Minimal({"--okms-id=1234"})), IsOk());
  Set("OKMS_ID", "1234");
  EXPECT_THAT(Parse(Minimal()), IsOk());
}

TEST_F(ConfigTest, EverythingByVariablesWithRest) {
  Set("OKMS_PROTOCOL", "rest");
  Set("OKMS_SERV_ADDR", "https://eu-west-rbx.okms.ovh.net");
  Set("OKMS_ID", kOkmsId);
  Set("OKMS_KEY_LABEL", "etcd");
  Set("OKMS_CLIENT_CERT", "/c.pem");
  Set("OKMS_CLIENT_KEY", "/c.key");
  Set("OKMS_CA_CERT", "/ca.pem");
  Set("OKMS_CA_ONLY", "true");
  const auto config = Parse({});
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->protocol->name, "rest");
  EXPECT_EQ(config->servers.front().url, "https://eu-west-rbx.okms.ovh.net");
  EXPECT_EQ(config->servers.front().host.host, "eu-west-rbx.okms.ovh.net");
  EXPECT_EQ(config->servers.front().host.port, 443);
  EXPECT_EQ(config->okms_id, kOkmsId);
  EXPECT_EQ(config->key_id, "");
  EXPECT_EQ(config->key_label, "etcd");
  EXPECT_EQ(config->tls.ca.path, "/ca.pem");
  EXPECT_TRUE(config->tls.only_ca);
}

TEST_F(ConfigTest, OkmsIdIsCanonicalWhateverItsForm) {
  for (const char* form :
       {"0123abcd-4567-89ef-0123-456789abcdef", "0123ABCD-4567-89EF-0123-456789ABCDEF",
        "urn:uuid:0123abcd-4567-89ef-0123-456789abcdef", "{0123abcd-4567-89ef-0123-456789abcdef}",
        "0123ABCD456789EF0123456789ABCDEF"}) {
    const auto config = Parse(MinimalRest({OkmsIdFlag(form)}));
    ASSERT_THAT(config, IsOk()) << form;
    EXPECT_EQ(config->okms_id, kOkmsId) << form;
  }
}

// It is the id of the records that are stored.
TEST_F(ConfigTest, KeyIdIsKeptAsItIsWithRest) {
  for (const std::string form :
       {"0123ABCD-4567-89EF-0123-456789ABCDEF", "urn:uuid:0123abcd-4567-89ef-0123-456789abcdef",
        "{0123abcd-4567-89ef-0123-456789abcdef}", "0123ABCD456789EF0123456789ABCDEF"}) {
    const auto config = Parse(MinimalRest({absl::StrCat("--encryption-key-id=", form)}));
    ASSERT_THAT(config, IsOk()) << form;
    EXPECT_EQ(config->key_id, form);
  }
}

TEST_F(ConfigTest, LabelIsAnyTextWithRest) {
  const auto config =
      Parse(Without({"--encryption-key-id"}, MinimalRest({"--encryption-key-label=my etcd key"})));
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->key_id, "");
  EXPECT_EQ(config->key_label, "my etcd key");
}

TEST_F(ConfigTest, WhetherOnlyTheGivenCaIsTrusted) {
  const struct {
    Arguments arguments;
    bool only_ca;
  } cases[] = {
      {Minimal(), true},
      {Minimal({"--ca=/ca.pem"}), true},
      {Minimal({"--ca=/ca.pem", "--ca-only"}), true},
      {Minimal({"--ca=/ca.pem", "--ca-only=false"}), true},
      {MinimalRest(), false},
      {MinimalRest({"--ca=/ca.pem"}), false},
      {MinimalRest({"--ca=/ca.pem", "--ca-only"}), true},
      {MinimalRest({"--ca=/ca.pem", "--ca-only=false"}), false},
      {MinimalRest({"--ca-only=false"}), false},
  };
  for (const auto& [arguments, only_ca] : cases) {
    const auto config = Parse(arguments);
    ASSERT_THAT(config, IsOk()) << ::testing::PrintToString(arguments);
    EXPECT_EQ(config->tls.only_ca, only_ca) << ::testing::PrintToString(arguments);
  }
}

TEST_F(ConfigTest, EmptyValueAfterAnEqualsSignTakesNothingElse) {
  const auto config = Parse(Minimal({"--ca=", "--debug"}));
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->tls.ca.path, "");
  EXPECT_TRUE(config->debug);
}

TEST_F(ConfigTest, EmptyValueCountsAsNotGiven) {
  const auto config = Parse(Minimal({"--encryption-key-label="}));
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->key_label, "");
}

TEST_F(ConfigTest, ValueMayBeginWithADashAfterAnEqualsSign) {
  const auto config = Parse({"--protocol=kmip", "--serv-addr=kms:5696", "--client-cert=/c.pem",
                             "--client-key=/c.key", "--encryption-key-label=-x"});
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->key_label, "-x");
}

TEST_F(ConfigTest, DebugIsASwitchWithAnOptionalValue) {
  const std::pair<const char*, bool> cases[] = {
      {"--debug", true},        {"--debug=true", true},  {"--debug=1", true},
      {"--debug=t", true},      {"--debug=TRUE", true},  {"-debug", true},
      {"--debug=false", false}, {"--debug=0", false},    {"--debug=f", false},
      {"--debug=FALSE", false}, {"-debug=false", false},
  };
  for (const auto& [argument, expected] : cases) {
    const auto config = Parse(Minimal({argument}));
    ASSERT_THAT(config, IsOk()) << argument;
    EXPECT_EQ(config->debug, expected) << argument;
  }
}

TEST_F(ConfigTest, DebugByVariable) {
  const std::pair<const char*, bool> cases[] = {
      {"true", true}, {"1", true}, {"false", false}, {"0", false}};
  for (const auto& [value, expected] : cases) {
    Set("OKMS_DEBUG", value);
    const auto config = Parse(Minimal());
    ASSERT_THAT(config, IsOk()) << value;
    EXPECT_EQ(config->debug, expected) << value;
  }
}

TEST_F(ConfigTest, TimeoutIsAGoDuration) {
  const std::pair<const char*, std::chrono::milliseconds> cases[] = {
      {"10s", 10s},       {"1m30s", 90s}, {"1.5h", 90min},   {"250ms", 250ms},
      {"1ms", 1ms},       {"24h", 24h},   {"1h2m3s", 3723s}, {"1500000us", 1500ms},
      {"2000000ns", 2ms}, {"+5s", 5s},    {".5s", 500ms},
  };
  for (const auto& [text, expected] : cases) {
    const auto config = Parse(Minimal({"--timeout", text}));
    ASSERT_THAT(config, IsOk()) << text;
    EXPECT_EQ(config->timeout, expected) << text;
  }
}

TEST_F(ConfigTest, AllowedUsersAndGroups) {
  const auto config = Parse(Minimal({"--allow-uid=1001", "--allow-uid", "root", "-allow-uid=7",
                                     "--allow-gid=1002", "--allow-gid", "root"}));
  ASSERT_THAT(config, IsOk());
  EXPECT_THAT(config->allowed_uids, ElementsAre(1001, 0, 7));
  EXPECT_THAT(config->allowed_gids, ElementsAre(1002, 0));
}

TEST_F(ConfigTest, AllowedUsersAndGroupsByVariable) {
  Set("OKMS_ALLOW_UID", "1001");
  Set("OKMS_ALLOW_GID", "root");
  auto config = Parse(Minimal());
  ASSERT_THAT(config, IsOk());
  EXPECT_THAT(config->allowed_uids, ElementsAre(1001));
  EXPECT_THAT(config->allowed_gids, ElementsAre(0));
  config = Parse(Minimal({"--allow-uid=5"}));
  ASSERT_THAT(config, IsOk());
  EXPECT_THAT(config->allowed_uids, ElementsAre(5));
}

struct Mistake {
  const char* name;
  Arguments without;  // of the minimal ones, by their flag
  Arguments with;
  std::string message;
};

void PrintTo(const Mistake& mistake, std::ostream* out) { *out << mistake.name; }

class MistakeTest : public ConfigTest, public ::testing::WithParamInterface<Mistake> {
 protected:
  void ExpectNamed(const Arguments& minimal) {
    Arguments arguments = Without(GetParam().without, minimal);
    arguments.insert(arguments.end(), GetParam().with.begin(), GetParam().with.end());
    const auto config = Parse(arguments);
    EXPECT_THAT(config, StatusIs(absl::StatusCode::kInvalidArgument, GetParam().message));
    EXPECT_EQ(config.status().message().find('\n'), absl::string_view::npos);
  }
};

TEST_P(MistakeTest, IsNamedInOneLine) { ExpectNamed(Minimal()); }

class RestMistakeTest : public MistakeTest {};

TEST_P(RestMistakeTest, IsNamedInOneLine) { ExpectNamed(MinimalRest()); }

const Mistake kMistakes[] = {
    {"NoProtocol",
     {"--protocol"},
     {},
     "--protocol is missing: give kmip or rest (or set OKMS_PROTOCOL)"},
    {"UnknownProtocol",
     {},
     {"--protocol=kmip2\n"},
     "--protocol kmip2: no such protocol; use kmip or rest"},
    {"NoServer",
     {"--serv-addr"},
     {},
     "--serv-addr is missing: give the KMS as host:port (or set OKMS_SERV_ADDR)"},
    {"ServersWithNothingBetween",
     {"--serv-addr"},
     {"--serv-addr=a:1,,b:2"},
     "--serv-addr: an empty value among several; take the comma away, or fill it in"},
    {"ServersWithACommaAtTheEnd",
     {"--serv-addr"},
     {"--serv-addr=a:1,"},
     "--serv-addr: an empty value among several; take the comma away, or fill it in"},
    {"NothingButCommas",
     {"--serv-addr"},
     {"--serv-addr=,"},
     "--serv-addr is missing: give the KMS as host:port (or set OKMS_SERV_ADDR)"},
    {"TheSameServerTwice",
     {"--serv-addr"},
     {"--serv-addr=kms:1,other:1", "--serv-addr=KMS:1"},
     "--serv-addr KMS:1: is given twice; name each host once"},
    {"OneOfTheServersWithoutPort",
     {"--serv-addr"},
     {"--serv-addr=kms:1,other"},
     "--serv-addr: \"other\" has no port; give host:port, for example kms:5696"},
    {"OneOfTheServersOfTheOtherProtocol",
     {"--serv-addr"},
     {"--serv-addr=kms:1,https://other"},
     "--serv-addr: \"https://other\" is a URL; give host:port, for example kms:5696"},
    {"TooManyServers",
     {"--serv-addr"},
     {"--serv-addr=a:1,a:2,a:3,a:4,a:5,a:6,a:7,a:8,a:9,a:10,a:11,a:12,a:13,a:14,a:15,a:16,a:17"},
     "--serv-addr names 17 hosts; at most 16 are possible"},
    {"ServerWithoutPort",
     {},
     {"--serv-addr=kms"},
     "--serv-addr: \"kms\" has no port; give host:port, for example kms:5696"},
    {"ServerIsUrl",
     {},
     {"--serv-addr=https://kms:443"},
     "--serv-addr: \"https://kms:443\" is a URL; give host:port, for example kms:5696"},
    {"NoKey",
     {"--encryption-key-id"},
     {},
     "--encryption-key-id is missing: give the id of the key (or set OKMS_KEY_ID), its label with "
     "--encryption-key-label (OKMS_KEY_LABEL), or a file that holds the id with "
     "--encryption-key-id-file (OKMS_KEY_ID_FILE)"},
    {"BothKeys",
     {},
     {"--encryption-key-label=etcd"},
     "--encryption-key-id and --encryption-key-label are both given (perhaps by OKMS_KEY_ID or "
     "OKMS_KEY_LABEL): use one of them"},
    {"LongKeyId",
     {},
     {"--encryption-key-id=" + std::string(1025, 'k')},
     "--encryption-key-id has 1025 bytes; at most 1024 are possible"},
    {"LongKeyLabel",
     {"--encryption-key-id"},
     {"--encryption-key-label=" + std::string(1025, 'k')},
     "--encryption-key-label has 1025 bytes; at most 1024 are possible"},
    {"NoClientCert",
     {"--client-cert"},
     {},
     "--client-cert is missing: give the PEM file of the access certificate (or set "
     "OKMS_CLIENT_CERT)"},
    {"NoClientKey",
     {"--client-key"},
     {},
     "--client-key is missing: give the PEM file of the certificate's key (or set "
     "OKMS_CLIENT_KEY)"},
    {"RelativeSocket",
     {},
     {"--sock=kms.sock"},
     "--sock: \"kms.sock\" is no absolute path; give /path, unix:///path or @name"},
    {"EmptySocket",
     {},
     {"--sock=unix://"},
     "--sock: \"unix://\" is no absolute path; give /path, unix:///path or @name"},
    {"SocketIsAFolder",
     {},
     {"--sock=/run/okms/"},
     "--sock: \"/run/okms/\" is a folder; name the socket in it, as in /run/kms.sock"},
    {"LongSocket",
     {},
     {"--sock=/" + std::string(107, 's')},
     "--sock: \"/" + std::string(107, 's') + "\" has 108 bytes; a socket's path has at most 107"},
    {"TimeoutWithoutUnit",
     {},
     {"--timeout=10"},
     "--timeout 10: no duration; give for example 10s or 1m30s"},
    {"NoConnections",
     {},
     {"--max-connections=0"},
     "--max-connections 0: no number between 1 and 64; give for example 8"},
    {"TooManyConnections",
     {},
     {"--max-connections=65"},
     "--max-connections 65: no number between 1 and 64; give for example 8"},
    {"NegativeConnections",
     {},
     {"--max-connections=-1"},
     "--max-connections -1: no number between 1 and 64; give for example 8"},
    {"HalfAConnection",
     {},
     {"--max-connections=1.5"},
     "--max-connections 1.5: no number between 1 and 64; give for example 8"},
    {"ConnectionsAreText",
     {},
     {"--max-connections=few"},
     "--max-connections few: no number between 1 and 64; give for example 8"},
    {"LabelGraceIsText",
     {},
     {"--label-grace=soon"},
     "--label-grace soon: no duration; give for example 10s or 1m30s"},
    {"LogFormatIsUnknown",
     {},
     {"--log-format=xml"},
     "--log-format xml: no such form; use auto, text or json"},
    {"FileIsTheKeyItself",
     {},
     {"--client-key=-----BEGIN PRIVATE KEY-----\nMIGH\n"},
     "--client-key (or OKMS_CLIENT_KEY): is PEM itself; give the path of a file that holds it"},
    {"LabelGraceIsNegative",
     {},
     {"--label-grace=-1s"},
     "--label-grace -1s: out of range; give between 0 and 24h"},
    {"TimeoutIsText",
     {},
     {"--timeout=soon"},
     "--timeout soon: no duration; give for example 10s or 1m30s"},
    {"TimeoutIsZero", {}, {"--timeout=0"}, "--timeout 0: out of range; give between 1ms and 24h"},
    {"TimeoutIsNegative",
     {},
     {"--timeout=-5s"},
     "--timeout -5s: out of range; give between 1ms and 24h"},
    {"TimeoutIsTooShort",
     {},
     {"--timeout=999us"},
     "--timeout 999us: out of range; give between 1ms and 24h"},
    {"TimeoutIsTooLong",
     {},
     {"--timeout=24h1s"},
     "--timeout 24h1s: out of range; give between 1ms and 24h"},
    {"TimeoutIsInfinite",
     {},
     {"--timeout=inf"},
     "--timeout inf: out of range; give between 1ms and 24h"},
    {"UnknownSocketGroup",
     {},
     {"--sock-group=no-such-group"},
     "--sock-group no-such-group: no such group; give a name or a number"},
    {"UnknownAllowedUser",
     {},
     {"--allow-uid=no-such-user"},
     "--allow-uid no-such-user: no such user; give a name or a number"},
    {"UnknownAllowedGroup",
     {},
     {"--allow-gid=no-such-group"},
     "--allow-gid no-such-group: no such group; give a name or a number"},
    // (uid_t)-1 means "nobody in particular" to the kernel.
    {"AllowedUserMinusOne",
     {},
     {"--allow-uid=4294967295"},
     "--allow-uid 4294967295: no such user; give a name or a number"},
    {"SocketGroupMinusOne",
     {},
     {"--sock-group=4294967295"},
     "--sock-group 4294967295: no such group; give a name or a number"},
    {"UnknownFlag", {}, {"--no-such-flag"}, "--no-such-flag: no such flag; see --help"},
    {"UnknownFlagWithOneDash", {}, {"-no-such-flag=1"}, "-no-such-flag: no such flag; see --help"},
    {"PositionalArgument",
     {},
     {"serve"},
     "\"serve\" follows no flag; all is said by flags, see --help"},
    {"FlagWithoutValue", {}, {"--ca"}, "--ca needs a value; give it after = or a space"},
    {"FlagInPlaceOfAValue",
     {},
     {"--ca", "--debug"},
     "--ca needs a value; give it after = or a space"},
    {"MistypedFlag", {}, {"--time-out", "5s"}, "--time-out: no such flag; did you mean --timeout?"},
    {"MistypedFlagWithOneDash",
     {},
     {"-encrypton-key-lable=x"},
     "-encrypton-key-lable: no such flag; did you mean --encryption-key-label?"},
    {"SocketWithALineBreak",
     {},
     {"--sock=/run/kms\n.sock"},
     "--sock (or OKMS_SOCK) \"/run/kms?.sock\": has a line break or another control character in "
     "it; "
     "take it out"},
    {"ServerThatForgesALine",
     {},
     {"--serv-addr=kms:1\nerror: forged"},
     "--serv-addr (or OKMS_SERV_ADDR) \"kms:1?error: forged\": has a line break or another control "
     "character in it; take it out"},
    {"CertificateInQuotes",
     {"--client-cert"},
     {"--client-cert=\"/c.pem\""},
     "--client-cert (or OKMS_CLIENT_CERT) \"/c.pem\": the quotes would be part of the value; leave "
     "them out"},
    {"TimeoutInQuotes",
     {},
     {"--timeout='10s'"},
     "--timeout (or OKMS_TIMEOUT) '10s': the quotes would be part of the value; leave them out"},
    {"UserInQuotes",
     {},
     {"--allow-uid=0,\"0\""},
     "--allow-uid (or OKMS_ALLOW_UID) \"0\": the quotes would be part of the value; leave them "
     "out"},
    {"HomeOfAShell",
     {"--client-key"},
     {"--client-key=~/client.key"},
     "--client-key ~/client.key: ~ is a shell's, and is not replaced here; give the whole path"},
    {"CaOnlyWithoutCa",
     {},
     {"--ca-only"},
     "--ca-only needs --ca: give the PEM file of the only CA to trust (or set OKMS_CA_CERT)"},
    {"CaOnlyIsNoTruthValue",
     {},
     {"--ca=/ca.pem", "--ca-only=maybe"},
     "--ca-only maybe: neither yes nor no; give true or false"},
    {"DebugIsNoTruthValue",
     {},
     {"--debug=maybe"},
     "--debug maybe: neither yes nor no; give true or false"},
};

INSTANTIATE_TEST_SUITE_P(Each, MistakeTest, ::testing::ValuesIn(kMistakes),
                         [](const auto& test) { return std::string(test.param.name); });

const Mistake kRestMistakes[] = {
    {"NoServer",
     {"--serv-addr"},
     {},
     "--serv-addr is missing: give the KMS as https://host (or set OKMS_SERV_ADDR)"},
    {"ServerIsHostAndPort",
     {},
     {"--serv-addr=kms:5696"},
     "--serv-addr: kms:5696: no https URL; give for example https://eu-west-rbx.okms.ovh.net"},
    {"TheSameServerTwice",
     {"--serv-addr"},
     {"--serv-addr=https://kms,https://KMS:443/"},
     "--serv-addr https://KMS:443: is given twice; name each host once"},
    {"OneOfTheServersOfTheOtherProtocol",
     {"--serv-addr"},
     {"--serv-addr=https://kms,other:5696"},
     "--serv-addr: other:5696: no https URL; give for example https://eu-west-rbx.okms.ovh.net"},
    {"ServerWithoutTls",
     {},
     {"--serv-addr=http://kms"},
     "--serv-addr: http://kms: no https URL; give for example https://eu-west-rbx.okms.ovh.net"},
    {"ServerWithAPassword",
     {},
     {"--serv-addr=https://user:secret@kms"},
     "--serv-addr: (with a user): a user has no place in it: the client certificate authenticates; "
     "give for example https://eu-west-rbx.okms.ovh.net"},
    {"ServerWithAQuery",
     {},
     {"--serv-addr=https://kms/?a=b"},
     "--serv-addr: https://kms/?a=b: a query or fragment has no place in it; give for example "
     "https://eu-west-rbx.okms.ovh.net"},
    {"NoOkmsId",
     {"--okms-id"},
     {},
     "--okms-id is missing: give the UUID of the OKMS domain (or set OKMS_ID)"},
    {"OkmsIdIsNoUuid",
     {},
     {"--okms-id=my\ndomain"},
     "--okms-id (or OKMS_ID) \"my?domain\": has a line break or another control character in it; "
     "take "
     "it out"},
    {"OkmsIdIsAName",
     {},
     {"--okms-id=mine"},
     "--okms-id mine: no UUID; give the id of the OKMS domain"},
    {"NoKey",
     {"--encryption-key-id"},
     {},
     "--encryption-key-id is missing: give the id of the key (or set OKMS_KEY_ID), its label with "
     "--encryption-key-label (OKMS_KEY_LABEL), or a file that holds the id with "
     "--encryption-key-id-file (OKMS_KEY_ID_FILE)"},
    {"BothKeys",
     {},
     {"--encryption-key-label=etcd"},
     "--encryption-key-id and --encryption-key-label are both given (perhaps by OKMS_KEY_ID or "
     "OKMS_KEY_LABEL): use one of them"},
    {"KeyIdIsNoUuid",
     {},
     {"--encryption-key-id=etcd"},
     "--encryption-key-id etcd: no UUID, as the REST API has; give the id of a service key"},
    {"LongKeyLabel",
     {"--encryption-key-id"},
     {"--encryption-key-label=" + std::string(1025, 'k')},
     "--encryption-key-label has 1025 bytes; at most 1024 are possible"},
    {"NoClientCert",
     {"--client-cert"},
     {},
     "--client-cert is missing: give the PEM file of the access certificate (or set "
     "OKMS_CLIENT_CERT)"},
    {"NoClientKey",
     {"--client-key"},
     {},
     "--client-key is missing: give the PEM file of the certificate's key (or set "
     "OKMS_CLIENT_KEY)"},
    {"CaOnlyWithoutCa",
     {},
     {"--ca-only"},
     "--ca-only needs --ca: give the PEM file of the only CA to trust (or set OKMS_CA_CERT)"},
};

INSTANTIATE_TEST_SUITE_P(Each, RestMistakeTest, ::testing::ValuesIn(kRestMistakes),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_F(ConfigTest, CaOnlyWithoutCaByVariable) {
  Set("OKMS_CA_ONLY", "1");
  EXPECT_THAT(Parse(MinimalRest()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--ca-only needs --ca")));
}

TEST_F(ConfigTest, BothKeysByFlagAndVariable) {
  Set("OKMS_KEY_LABEL", "etcd");
  EXPECT_THAT(Parse(Minimal()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "--encryption-key-id and --encryption-key-label are both given (perhaps by "
                       "OKMS_KEY_ID or OKMS_KEY_LABEL): use one of them"));
}

// ---- The file of the key's id

TEST_F(ConfigTest, TheKeysIdIsReadFromItsFile) {
  const test::TempDir folder;
  std::ofstream(folder / "id") << "key-7\n";
  const auto config =
      Parse(Without({"--encryption-key-id"},
                    Minimal({absl::StrCat("--encryption-key-id-file=", folder / "id")})));
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->key_id, "key-7");
  EXPECT_EQ(config->key_label, "");
  EXPECT_EQ(config->key_id_file.Name(), absl::StrCat("--encryption-key-id-file ", folder / "id"));
}

TEST_F(ConfigTest, WhatIsWrongWithTheFileOfTheKeysIdIsAMistakeAmongOthers) {
  const auto config = Parse(Without({"--encryption-key-id", "--client-cert"},
                                    Minimal({"--encryption-key-id-file=/nonexistent/id"})));
  EXPECT_THAT(config, StatusIs(absl::StatusCode::kInvalidArgument,
                               ::testing::AllOf(HasSubstr("--encryption-key-id-file "
                                                          "/nonexistent/id: cannot be read"),
                                                HasSubstr("\n--client-cert is missing"))));
  EXPECT_THAT(Parse(Without({"--encryption-key-id"}, Minimal({"--encryption-key-id-file=~/id"}))),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("~/id: ~ is a shell's")));
}

TEST_F(ConfigTest, OverRestTheFileMustHoldAUuid) {
  const test::TempDir folder;
  const auto parse = [&](const std::string& id) {
    std::ofstream(folder / "id") << id;
    return Parse(Without({"--encryption-key-id"},
                         MinimalRest({absl::StrCat("--encryption-key-id-file=", folder / "id")})));
  };
  EXPECT_EQ(parse(kKeyId)->key_id, kKeyId);
  EXPECT_THAT(parse("key-7"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       absl::StrCat("--encryption-key-id-file ", folder / "id",
                                    ": holds key-7: no UUID, as the REST API has; give the id of a "
                                    "service key")));
}

TEST_F(ConfigTest, TheFileOfTheKeysIdAndAnotherName) {
  const test::TempDir folder;
  std::ofstream(folder / "id") << "key-7";
  Set("OKMS_KEY_ID_FILE", folder / "id");
  EXPECT_THAT(Parse(Minimal()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "--encryption-key-id and --encryption-key-id-file are both given (perhaps "
                       "by OKMS_KEY_ID or OKMS_KEY_ID_FILE): use one of them"));
  EXPECT_THAT(
      Parse(Without({"--encryption-key-id"}, Minimal({"--encryption-key-label=etcd"}))),
      StatusIs(absl::StatusCode::kInvalidArgument,
               "--encryption-key-label and --encryption-key-id-file are both given (perhaps "
               "by OKMS_KEY_LABEL or OKMS_KEY_ID_FILE): use one of them"));
  EXPECT_THAT(
      Parse(Minimal({"--encryption-key-label=etcd"})),
      StatusIs(absl::StatusCode::kInvalidArgument,
               "--encryption-key-id and --encryption-key-label and --encryption-key-id-file "
               "are all given (perhaps by OKMS_KEY_ID or OKMS_KEY_LABEL or "
               "OKMS_KEY_ID_FILE): use one of them"));
}

TEST_F(ConfigTest, TheFileOfTheKeysIdMayBeACredential) {
  const test::TempDir credentials;
  std::ofstream(credentials / "encryption-key-id-file") << "key-7\n";
  Set("CREDENTIALS_DIRECTORY", credentials.path());
  Set("OKMS_KEY_ID_FILE", "/of/an/environment/file");
  const auto config = Parse(Without({"--encryption-key-id"}, Minimal()));
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->key_id, "key-7");
  EXPECT_TRUE(config->key_id_file.from_systemd);
  EXPECT_THAT(Parse(Minimal()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "--encryption-key-id and --encryption-key-id-file are both given (perhaps "
                       "by OKMS_KEY_ID or systemd's credential encryption-key-id-file): use one of "
                       "them"));
}

TEST_F(ConfigTest, MistakeInAVariableIsNamedToo) {
  Set("OKMS_TIMEOUT", "10");
  EXPECT_THAT(Parse(Minimal()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "--timeout 10: no duration; give for example 10s or 1m30s"));
}

TEST_F(ConfigTest, CredentialsOfSystemdComeAfterFlagsAndBeforeVariables) {
  const test::TempDir credentials;
  for (const char* name : {"client-cert", "client-key"}) std::ofstream(credentials / name) << "x";
  Set("CREDENTIALS_DIRECTORY", credentials.path());
  Set("OKMS_CLIENT_CERT", "/of/the/go/plugin.pem");
  Set("OKMS_CLIENT_KEY", "/of/the/go/plugin.key");
  Set("OKMS_CA_CERT", "/of/the/go/ca.pem");
  const auto config = Parse({"--protocol=kmip", "--serv-addr=kms:5696", "--encryption-key-id=key-1",
                             "--client-key=/of/the/flag.key"});
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->tls.client_cert.path, credentials / "client-cert");
  EXPECT_EQ(config->tls.client_key.path, "/of/the/flag.key");
  EXPECT_EQ(config->tls.ca.path, "/of/the/go/ca.pem");  // there is no credential of that name
}

TEST_F(ConfigTest, CredentialsAreNotRequired) {
  Set("CREDENTIALS_DIRECTORY", "/nonexistent");
  Set("OKMS_CLIENT_CERT", "/c.pem");
  const auto config = Parse({"--protocol=kmip", "--serv-addr=kms:5696", "--encryption-key-id=key-1",
                             "--client-key=/c.key"});
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->tls.client_cert.path, "/c.pem");
}

TEST_F(ConfigTest, CheckConfigIsAFlagOnly) {
  EXPECT_FALSE(Parse(Minimal())->check_only);
  EXPECT_TRUE(Parse(Minimal({"--check-config"}))->check_only);
}

class HelpTest : public ConfigTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(HelpTest, IsPrintedWithoutAnythingElseGiven) {
  const auto parsed = ParseAny({GetParam()});
  ASSERT_THAT(parsed, IsOk());
  ASSERT_TRUE(std::holds_alternative<Printout>(*parsed));
  const std::string& text = std::get<Printout>(*parsed).text;
  EXPECT_THAT(text, HasSubstr("okms-k8s-encryption-provider [OPTIONS]"));
  for (const OptionCase& option : Options()) {
    for (const std::string& flag : option.flags) EXPECT_THAT(text, HasSubstr(flag));
    EXPECT_THAT(text, HasSubstr(option.variable));
  }
  for (const char* variable : kVariables) EXPECT_THAT(text, HasSubstr(variable));
  EXPECT_THAT(text, HasSubstr("/var/run/okms_etcd_plugin.sock"));
  EXPECT_THAT(text, HasSubstr("Examples:"));
  const std::vector<std::string> lines = absl::StrSplit(text, '\n');
  for (const std::string& line : lines) EXPECT_LE(line.size(), 80U) << line;
}

INSTANTIATE_TEST_SUITE_P(Each, HelpTest, ::testing::Values("--help", "-h", "-help"));

class VersionTest : public ConfigTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(VersionTest, IsPrintedWithoutAnythingElseGiven) {
  const auto parsed = ParseAny({GetParam()});
  ASSERT_THAT(parsed, IsOk());
  ASSERT_TRUE(std::holds_alternative<Printout>(*parsed));
  EXPECT_EQ(std::get<Printout>(*parsed).text,
            absl::StrCat("okms-k8s-encryption-provider ", kVersion, "\n"));
}

INSTANTIATE_TEST_SUITE_P(Each, VersionTest, ::testing::Values("--version", "-version"));

TEST_F(ConfigTest, NoArgumentsAtAllIsAMistakeNotACrash) {
  EXPECT_THAT(
      ParseConfig({}, Protocols()),
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr("--protocol is missing: give kmip or rest (or set OKMS_PROTOCOL)")));
}

// ---- What nobody means, and what is meant by something else

TEST_P(OptionTest, WhiteSpaceAroundItIsNotPartOfIt) {
  for (const char* around : {"\n", "\r\n", " ", "\t"}) {
    ExpectSecond({absl::StrCat(GetParam().flags.front(), "=", around, GetParam().second, around)});
    Set(GetParam().variable, absl::StrCat(GetParam().second, around));
    ExpectSecond({});
    Set(GetParam().variable, std::nullopt);
  }
}

TEST_P(OptionTest, AControlCharacterInItIsRefusedByName) {
  for (const char* inside : {"x\nx", "x\x1b[2Jx", "x\x7Fx"}) {
    Set(GetParam().variable, inside);
    EXPECT_THAT(ParseWith({}),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         ::testing::AllOf(
                             HasSubstr(GetParam().flags.front()), HasSubstr(GetParam().variable),
                             HasSubstr("control character"), ::testing::Not(HasSubstr("\n")))));
  }
}

TEST_F(ConfigTest, AllowedUsersMayHaveBlanksBetweenThem) {
  Set("OKMS_ALLOW_UID", "1001, 7\n");
  const auto config = Parse(Minimal());
  ASSERT_THAT(config, IsOk());
  EXPECT_THAT(config->allowed_uids, ElementsAre(1001, 7));
}

TEST_F(ConfigTest, AllMistakesAtOnceOneALine) {
  Set("OKMS_DEBUG", "maybe");
  EXPECT_THAT(
      Parse(
          Without({"--client-key"}, Minimal({"--timeout=10", "--sock=kms.sock", "--tiemout=1s"}))),
      StatusIs(absl::StatusCode::kInvalidArgument,
               "--tiemout: no such flag; did you mean --timeout?\n"
               "--client-key is missing: give the PEM file of the certificate's key (or set "
               "OKMS_CLIENT_KEY)\n"
               "--sock: \"kms.sock\" is no absolute path; give /path, unix:///path or @name\n"
               "--timeout 10: no duration; give for example 10s or 1m30s\n"
               "--debug maybe: neither yes nor no; give true or false"));
}

TEST_F(ConfigTest, AVariableThatIsNoneIsAWarning) {
  Set("OKMS_KEYID", "x");
  Set("OKMS_PORT_443_TCP_ADDR", "10.0.0.1");  // as Kubernetes sets them for a service "okms"
  const auto config = Parse(Minimal());
  const auto missing = Parse(Without({"--encryption-key-id"}, Minimal()));
  Set("OKMS_KEYID", std::nullopt);
  Set("OKMS_PORT_443_TCP_ADDR", std::nullopt);
  ASSERT_THAT(config, IsOk());
  EXPECT_THAT(config->warnings,
              ::testing::UnorderedElementsAre(
                  "OKMS_KEYID is no variable of this plugin, and has no effect; did you mean "
                  "OKMS_KEY_ID?",
                  "OKMS_PORT_443_TCP_ADDR is no variable of this plugin, and has no effect; --help "
                  "lists them"));
  EXPECT_THAT(missing, StatusIs(absl::StatusCode::kInvalidArgument,
                                ::testing::AllOf(HasSubstr("--encryption-key-id is missing"),
                                                 HasSubstr("\nOKMS_KEYID is no variable"))));
}

TEST_F(ConfigTest, OurVariablesAreNoWarning) {
  const test::TempDir credentials;
  std::ofstream(credentials / "client-cert") << "x";
  Set("CREDENTIALS_DIRECTORY", credentials.path());
  for (const char* name : kVariables) Set(name, "");
  Set("OKMS_CLIENT_CERT", "/of/the/go/plugin.pem");
  const auto config = Parse(Minimal());
  ASSERT_THAT(config, IsOk());
  EXPECT_THAT(config->warnings, IsEmpty());
}

TEST_F(ConfigTest, AFileOfSystemdIsNamedByWhatTheUnitSays) {
  const test::TempDir credentials;
  std::ofstream(credentials / "client-cert") << "x";
  Set("CREDENTIALS_DIRECTORY", credentials.path());
  const auto config = Parse(Without({"--client-cert"}, Minimal()));
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(
      config->tls.client_cert.Name(),
      absl::StrCat("--client-cert (the file of LoadCredential=client-cert: in the unit, passed as ",
                   credentials / "client-cert", ")"));
  EXPECT_EQ(config->tls.client_key.Name(), "--client-key /c.key");
}

}  // namespace
}  // namespace okms
