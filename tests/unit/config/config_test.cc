// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "support/status_is.h"
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
    "OKMS_PROTOCOL",   "OKMS_SERV_ADDR",  "OKMS_TIMEOUT",   "OKMS_ID",       "OKMS_KEY_ID",
    "OKMS_KEY_LABEL",  "OKMS_CA_CERT",    "OKMS_SOCK",      "OKMS_DEBUG",    "OKMS_CLIENT_CERT",
    "OKMS_CLIENT_KEY", "OKMS_SOCK_GROUP", "OKMS_ALLOW_UID", "OKMS_ALLOW_GID"};

// Every test begins with none of our variables set.
class ConfigTest : public ::testing::Test {
 protected:
  ConfigTest() {
    for (const char* name : kVariables) Set(name, std::nullopt);
  }
  ~ConfigTest() override {
    while (!variables_.empty()) variables_.pop_back();  // the last one set is put back first
  }

  void Set(const std::string& name, std::optional<std::string> value) {
    variables_.push_back(std::make_unique<ScopedVariable>(name, std::move(value)));
  }

  static absl::StatusOr<std::variant<Config, Printout>> ParseAny(Arguments arguments) {
    arguments.insert(arguments.begin(), "okms-k8s-encryption-provider");
    return ParseConfig(arguments);
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

 private:
  std::vector<std::unique_ptr<ScopedVariable>> variables_;
};

TEST_F(ConfigTest, DefaultsAreThoseOfTheGoPlugin) {
  const auto config = Parse(Minimal());
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->server.host, "kms");
  EXPECT_EQ(config->server.port, 5696);
  EXPECT_EQ(config->socket.path, "/var/run/okms_etcd_plugin.sock");
  EXPECT_EQ(config->socket.abstract_name, "");
  EXPECT_EQ(config->socket_group, std::nullopt);
  EXPECT_THAT(config->allowed_uids, IsEmpty());
  EXPECT_THAT(config->allowed_gids, IsEmpty());
  EXPECT_EQ(config->timeout, 10s);
  EXPECT_EQ(config->key_id, "key-1");
  EXPECT_EQ(config->key_label, "");
  EXPECT_EQ(config->tls.client_cert.option, "--client-cert");
  EXPECT_EQ(config->tls.client_cert.path, "/c.pem");
  EXPECT_EQ(config->tls.client_key.option, "--client-key");
  EXPECT_EQ(config->tls.client_key.path, "/c.key");
  EXPECT_EQ(config->tls.ca.option, "--ca");
  EXPECT_EQ(config->tls.ca.path, "");
  EXPECT_FALSE(config->debug);
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
};

void PrintTo(const OptionCase& option, std::ostream* out) { *out << option.name; }

std::vector<OptionCase> Options() {
  std::vector<OptionCase> options{
      {"ServAddr",
       {"--serv-addr", "--kmip-addr"},
       "OKMS_SERV_ADDR",
       "one:1",
       "two:2",
       [](const Config& c) { return c.server.ToString(); },
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
       [](const Config& c) { return absl::StrCat(c.socket_group.value_or(99)); },
       "0",
       "7"},
      {"Debug",
       {"--debug"},
       "OKMS_DEBUG",
       "false",
       "true",
       [](const Config& c) { return std::string(c.debug ? "true" : "false"); },
       {},
       {}},
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
    Arguments arguments{"--protocol=kmip"};
    const auto other = [&](const char* name) { return std::string(GetParam().name) != name; };
    if (other("ServAddr")) arguments.push_back("--serv-addr=kms:5696");
    if (other("ClientCert")) arguments.push_back("--client-cert=/c.pem");
    if (other("ClientKey")) arguments.push_back("--client-key=/c.key");
    if (!GetParam().is_the_key) arguments.push_back("--encryption-key-id=key-1");
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
  if (std::string(GetParam().name) == "Debug") {  // as in Go, a switch takes only "="
    ExpectSecond({"--debug"});
    return;
  }
  for (const std::string& flag : GetParam().flags) ExpectSecond({flag, GetParam().second});
}

TEST_P(OptionTest, OneDashIsEnough) {
  for (const std::string& flag : GetParam().flags) {
    ExpectSecond({absl::StrCat(flag.substr(1), "=", GetParam().second)});
    if (std::string(GetParam().name) != "Debug") {
      ExpectSecond({flag.substr(1), GetParam().second});
    }
  }
}

TEST_P(OptionTest, TheLastOneWins) {
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

TEST_F(ConfigTest, ProtocolByFlagAndVariable) {
  Arguments rest = Minimal();
  rest.erase(rest.begin());
  EXPECT_THAT(Parse(rest), StatusIs(absl::StatusCode::kInvalidArgument,
                                    "--protocol is missing: give kmip (or set OKMS_PROTOCOL)"));
  Set("OKMS_PROTOCOL", "kmip");
  EXPECT_THAT(Parse(rest), IsOk());
  Set("OKMS_PROTOCOL", "rest");
  EXPECT_THAT(Parse(Minimal()), IsOk());
}

TEST_F(ConfigTest, EverythingByVariables) {
  Set("OKMS_PROTOCOL", "kmip");
  Set("OKMS_SERV_ADDR", "eu-west-rbx.okms.ovh.net:5696");
  Set("OKMS_KEY_LABEL", "etcd");
  Set("OKMS_CLIENT_CERT", "/c.pem");
  Set("OKMS_CLIENT_KEY", "/c.key");
  const auto config = Parse({});
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->server.host, "eu-west-rbx.okms.ovh.net");
  EXPECT_EQ(config->key_id, "");
  EXPECT_EQ(config->key_label, "etcd");
}

TEST_F(ConfigTest, OkmsIdIsTakenAndNotUsedWithKmip) {
  EXPECT_THAT(Parse(Minimal({"--okms-id=1234"})), IsOk());
  Set("OKMS_ID", "1234");
  EXPECT_THAT(Parse(Minimal()), IsOk());
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

class MistakeTest : public ConfigTest, public ::testing::WithParamInterface<Mistake> {};

TEST_P(MistakeTest, IsNamedInOneLine) {
  Arguments arguments;
  for (const std::string& argument : Minimal()) {
    const std::string flag = argument.substr(0, argument.find('='));
    const Arguments& without = GetParam().without;
    if (std::find(without.begin(), without.end(), flag) == without.end()) {
      arguments.push_back(argument);
    }
  }
  arguments.insert(arguments.end(), GetParam().with.begin(), GetParam().with.end());
  const auto config = Parse(arguments);
  EXPECT_THAT(config, StatusIs(absl::StatusCode::kInvalidArgument, GetParam().message));
  EXPECT_EQ(config.status().message().find('\n'), absl::string_view::npos);
}

const Mistake kMistakes[] = {
    {"NoProtocol", {"--protocol"}, {}, "--protocol is missing: give kmip (or set OKMS_PROTOCOL)"},
    {"RestProtocol",
     {},
     {"--protocol=rest"},
     "--protocol rest: this build speaks KMIP only; use --protocol kmip"},
    {"UnknownProtocol",
     {},
     {"--protocol=kmip2\n"},
     "--protocol kmip2?: no such protocol; use kmip"},
    {"NoServer",
     {"--serv-addr"},
     {},
     "--serv-addr is missing: give the KMS as host:port (or set OKMS_SERV_ADDR)"},
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
     "--encryption-key-id is missing: give the id of the key (or set OKMS_KEY_ID), or its label "
     "with --encryption-key-label (OKMS_KEY_LABEL)"},
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
    {"LongSocket",
     {},
     {"--sock=/" + std::string(107, 's')},
     "--sock: \"/" + std::string(107, 's') + "\" has 108 bytes; a socket's path has at most 107"},
    {"TimeoutWithoutUnit",
     {},
     {"--timeout=10"},
     "--timeout 10: no duration; give for example 10s or 1m30s"},
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
    {"UnknownFlag",
     {},
     {"--no-such-flag"},
     "The following argument was not expected: --no-such-flag; see --help"},
    {"UnknownFlagWithOneDash",
     {},
     {"-no-such-flag=1"},
     "The following argument was not expected: -no-such-flag=1; see --help"},
    {"PositionalArgument",
     {},
     {"serve"},
     "The following argument was not expected: serve; see --help"},
    {"FlagWithoutValue", {}, {"--ca"}, "--ca: 1 required TEXT missing; see --help"},
    {"DebugIsNoTruthValue",
     {},
     {"--debug=maybe"},
     "Could not convert: --debug = maybe; see --help"},
};

INSTANTIATE_TEST_SUITE_P(Each, MistakeTest, ::testing::ValuesIn(kMistakes),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_F(ConfigTest, BothKeysByFlagAndVariable) {
  Set("OKMS_KEY_LABEL", "etcd");
  EXPECT_THAT(Parse(Minimal()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "--encryption-key-id and --encryption-key-label are both given (perhaps by "
                       "OKMS_KEY_ID or OKMS_KEY_LABEL): use one of them"));
}

TEST_F(ConfigTest, MistakeInAVariableIsNamedToo) {
  Set("OKMS_TIMEOUT", "10");
  EXPECT_THAT(Parse(Minimal()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "--timeout 10: no duration; give for example 10s or 1m30s"));
}

class HelpTest : public ConfigTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(HelpTest, IsPrintedWithoutAnythingElseGiven) {
  const auto parsed = ParseAny({GetParam()});
  ASSERT_THAT(parsed, IsOk());
  ASSERT_TRUE(std::holds_alternative<Printout>(*parsed));
  const std::string& text = std::get<Printout>(*parsed).text;
  EXPECT_THAT(text, HasSubstr("Usage: okms-k8s-encryption-provider [OPTIONS]"));
  for (const OptionCase& option : Options()) {
    for (const std::string& flag : option.flags) EXPECT_THAT(text, HasSubstr(flag));
    EXPECT_THAT(text, HasSubstr(option.variable));
  }
  for (const char* variable : kVariables) EXPECT_THAT(text, HasSubstr(variable));
  EXPECT_THAT(text, HasSubstr("/var/run/okms_etcd_plugin.sock"));
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
  EXPECT_THAT(ParseConfig({}), StatusIs(absl::StatusCode::kInvalidArgument,
                                        "--protocol is missing: give kmip (or set OKMS_PROTOCOL)"));
}

}  // namespace
}  // namespace okms
