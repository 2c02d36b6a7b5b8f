// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Broken flags, variables and files.

#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "absl/strings/escaping.h"
#include "integration/check_test.h"

namespace okms::test {
namespace {

const std::vector<std::string> kHosts{"endpoint.handshake", "endpoint.version", "endpoint.clock",
                                      "endpoint.batch",     "key.name",         "key.state",
                                      "key.usage",          "key.round-trip"};

const std::vector<std::string> kCertBlocks =
    With({"client-cert.dates", "client-cert.chain", "client-key.fits"}, kHosts);
const std::vector<std::string> kKeyBlocks = With({"client-key.mode", "client-key.fits"}, kHosts);
const std::vector<std::string> kCaBlocks = With({"ca.dates"}, kHosts);
const std::vector<std::string> kAll = {
    "config.user",        "tls.setup",         "client-cert.file",
    "client-cert.dates",  "client-cert.chain", "client-key.file",
    "client-key.mode",    "client-key.fits",   "ca.file",
    "ca.dates",           "endpoint.resolve",  "endpoint.connect",
    "endpoint.handshake", "endpoint.version",  "endpoint.clock",
    "endpoint.batch",     "key.name",          "key.state",
    "key.usage",          "key.round-trip",    "socket.file",
    "socket.access",      "socket.status",     "socket.certificates"};

constexpr char kLockedKey[] =
    "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
    "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\nc2VjcmV0c2VjcmV0\n"
    "-----END EC PRIVATE KEY-----\n";

const std::vector<Broken> kBroken{
    {"MissingFlag", [](CheckTest& t) { t.flags_.erase("--protocol"); }, "config.flags", "failed",
     "--protocol is missing: give kmip or rest (or set OKMS_PROTOCOL)", kAll},
    {"MistypedFlag", [](CheckTest& t) { t.flags_["--client-crt"] = "x"; }, "config.flags", "failed",
     "--client-crt: no such flag; did you mean --client-cert?", kAll},
    {"KeyNamedTwice", [](CheckTest& t) { t.flags_["--encryption-key-label"] = "kek"; },
     "config.flags", "failed",
     "--encryption-key-id and --encryption-key-label are both given (perhaps by OKMS_KEY_ID or "
     "OKMS_KEY_LABEL): use one of them",
     kAll},
    {"NoConfiguration", [](CheckTest& t) { t.flags_["--version"] = ""; }, "config.flags", "failed",
     "--help and --version are no configuration; leave them out", kAll},
    {"UnknownUser", [](CheckTest& t) { t.flags_["--user"] = "no-such-user"; }, "config.user",
     "failed",
     "--user no-such-user: no such user, and the plugin does not stay root; create it (useradd "
     "--system no-such-user), or name another"},

    {"CertificateMissing", [](CheckTest& t) { t.flags_["--client-cert"] = t.dir_ / "none"; },
     "client-cert.file", "failed",
     "--client-cert DIR/none: cannot be read: open: No such file or directory; correct the path",
     kCertBlocks},
    {"CertificateIsAFolder", [](CheckTest& t) { t.flags_["--client-cert"] = t.dir_.path(); },
     "client-cert.file", "failed", "--client-cert DIR: is a directory; name the PEM file",
     kCertBlocks},
    {"CertificateIsEmpty", [](CheckTest& t) { t.flags_["--client-cert"] = t.Write("empty", ""); },
     "client-cert.file", "failed", "--client-cert DIR/empty: is empty; give the PEM file",
     kCertBlocks},
    {"CertificateIsAKey", [](CheckTest& t) { t.flags_["--client-cert"] = t.client_pair_.key; },
     "client-cert.file", "failed",
     "--client-cert DIR/client.key: holds a private key, no certificate; are --client-cert and "
     "--client-key swapped?",
     kCertBlocks},
    {"CertificateExpired",
     [](CheckTest& t) {
       t.UsePair(Must(t.pki_.Issue(
           "old", {.common_name = "plugin", .valid_from = -7200, .valid_until = -3600})));
     },
     "client-cert.dates",
     "failed",
     "--client-cert DIR/old.pem: expired on DATE; renew it, or correct this machine's clock, which "
     "says DATE",
     {},
     1,
     kHosts},
    {"CertificateNotYetValid",
     [](CheckTest& t) {
       t.UsePair(Must(t.pki_.Issue(
           "new", {.common_name = "plugin", .valid_from = 3600, .valid_until = 7200})));
     },
     "client-cert.dates",
     "failed",
     "--client-cert DIR/new.pem: not valid before DATE; correct this machine's clock, which says "
     "DATE, or wait",
     {},
     1,
     kHosts},
    {"CertificateEndsSoon",
     [](CheckTest& t) {
       t.UsePair(Must(t.pki_.Issue(
           "soon",
           {.common_name = "plugin", .valid_from = -100L * 86400, .valid_until = 5L * 86400})));
     },
     "client-cert.dates",
     "warning",
     "--client-cert DIR/soon.pem: expires on DATE; 5 days left: renew it",
     {},
     3},
    {"ChainOutOfOrder",
     [](CheckTest& t) {
       t.Write("client.pem",
               t.Content(t.client_pair_.certificate) + t.Content(t.server_pair_.certificate));
     },
     "client-cert.chain",
     "warning",
     "--client-cert DIR/client.pem: certificate 2 of the file, \"kms\", did not issue the "
     "one "
     "before it, \"plugin\"; the KMS may not find its way to a CA that it trusts",
     {},
     3},

    {"KeyMissing", [](CheckTest& t) { t.flags_["--client-key"] = t.dir_ / "none"; },
     "client-key.file", "failed",
     "--client-key DIR/none: cannot be read: open: No such file or directory; correct the path",
     kKeyBlocks},
    {"KeyIsACertificate",
     [](CheckTest& t) { t.flags_["--client-key"] = t.client_pair_.certificate; }, "client-key.file",
     "failed",
     "--client-key DIR/client.pem: holds a certificate, no private key; are --client-cert and "
     "--client-key swapped?",
     kKeyBlocks},
    {"KeyWithPassphrase",
     [](CheckTest& t) { t.flags_["--client-key"] = t.Write("locked.key", kLockedKey); },
     "client-key.file", "failed",
     "--client-key DIR/locked.key: is encrypted; give the key without a passphrase", kKeyBlocks},
    {"KeyForAllToRead",
     [](CheckTest& t) { ::chmod(t.client_pair_.key.c_str(), 0644); },
     "client-key.mode",
     "warning",
     "--client-key DIR/client.key: every user of this machine can read it",
     {},
     3},
    {"KeyForOthersToWrite", [](CheckTest& t) { ::chmod(t.client_pair_.key.c_str(), 0620); },
     "client-key.mode", "failed",
     "--client-key DIR/client.key: others than its owner can write it"},
    {"KeyOfAnotherCertificate", [](CheckTest& t) { t.flags_["--client-key"] = t.server_pair_.key; },
     "client-key.fits", "failed",
     "--client-key DIR/server.key: does not belong to the certificate of --client-cert "
     "DIR/client.pem; give the pair that was issued",
     kHosts},
    {"CertificatesInTheWrongOrder",
     [](CheckTest& t) {
       t.flags_["--client-cert"] =
           t.Write("both.pem", t.Content(t.pki_.ca()) + t.Content(t.client_pair_.certificate));
     },
     "client-key.fits",
     "failed",
     "--client-cert DIR/both.pem: the certificate of this key must come first, and is number 2; "
     "change their order",
     kHosts,
     1,
     {"client-cert.chain"}},

    {"CaMissing", [](CheckTest& t) { t.flags_["--ca"] = t.dir_ / "none"; }, "ca.file", "failed",
     "--ca DIR/none: cannot be read: open: No such file or directory; correct the path", kCaBlocks},
    {"CaIsAKey", [](CheckTest& t) { t.flags_["--ca"] = t.client_pair_.key; }, "ca.file", "failed",
     "--ca DIR/client.key: holds a private key, no certificate; give the CA that signed the KMS's "
     "certificate",
     kCaBlocks},
};

class CheckFiles : public CheckTable {};

TEST_P(CheckFiles, IsSaidInOneLine) { Run(); }

INSTANTIATE_TEST_SUITE_P(Table, CheckFiles, testing::ValuesIn(kBroken),
                         [](const auto& row) { return row.param.name; });

class CheckSources : public CheckTest {};

TEST_F(CheckSources, EnvironmentFileAndKeyOfItsOwn) {
  StartKms();
  kms().handler().Put({.id = "key-2", .name = "other", .material = std::string(32, 'x')});
  const std::string file = Write(
      "environment", absl::StrCat("# of the Go plugin\nOKMS_PROTOCOL=\"kmip\"\n",
                                  "OKMS_SERV_ADDR='127.0.0.1:", port(), "'\nOKMS_KEY_LABEL=kek\n",
                                  "OKMS_CLIENT_CERT=", client_pair_.certificate,
                                  "\nOKMS_CLIENT_KEY=", client_pair_.key,
                                  "\nOKMS_CA_CERT=", pki_.ca(), "\nOKMS_TIMOUT=3s\n"));
  flags_.clear();
  // What this process has does not count beside a file.
  const Report report =
      Check({"--env-file", file}, {"OKMS_PROTOCOL=rest", "OKMS_KEY_ID=from-elsewhere"});
  EXPECT_EQ(report.at("config.source").line, "the configuration is that of file DIR/environment");
  EXPECT_EQ(report.at("config.flags").outcome, "warning");
  EXPECT_EQ(report.at("config.flags").line,
            "OKMS_TIMOUT is no variable of this plugin, and has no effect; did you mean "
            "OKMS_TIMEOUT?");
  EXPECT_EQ(report.at("key.name").line, "the label kek means key key-1");
  const Report other = Check({"--env-file", file, "--key", "key-2"});
  EXPECT_EQ(other.exit_code, 0) << other.text;
  EXPECT_EQ(other.at("key.name").line, "the key is key-2");
  EXPECT_EQ(other.at("key.round-trip").outcome, "passed");
  EXPECT_EQ(other.findings.count("socket.file"), 0U);
}

TEST_F(CheckSources, EnvironmentFileThatIsNotThere) {
  flags_.clear();
  const Report report = Check({"--env-file", dir_ / "none"});
  EXPECT_EQ(report.exit_code, 1);
  EXPECT_EQ(report.at("config.source").line, "DIR/none: cannot be read: No such file or directory");
  EXPECT_EQ(report.at("config.source").mend, "ls -l DIR/none");
  EXPECT_EQ(report.at("key.round-trip").outcome, "skipped");
}

// A mistake that is of no file: neither are the files said to be good, nor is anything asked.
TEST_F(CheckSources, TlsThatCannotBeSetUp) {
  StartKms();
  // With one provider named, the default one is not loaded; this one has no ciphers.
  const std::string conf = Write(
      "openssl.cnf",
      "openssl_conf = all\n[all]\nproviders = some\n[some]\nbase = one\n[one]\nactivate = 1\n");
  const Report report = Check({}, {absl::StrCat("OPENSSL_CONF=", conf)});
  EXPECT_EQ(report.exit_code, 1) << report.text;
  EXPECT_EQ(report.at("tls.setup").outcome, "failed") << report.text;
  EXPECT_THAT(report.at("tls.setup").line, testing::StartsWith("cannot set up TLS: "));
  EXPECT_EQ(report.at("tls.setup").mend, "OPENSSL_CONF=DIR/openssl.cnf openssl ciphers");
  for (const char* const id : {"client-cert.file", "client-key.file", "client-key.fits", "ca.file",
                               "endpoint.handshake", "key.round-trip"}) {
    EXPECT_EQ(report.at(id).outcome, "skipped") << id;
  }
  EXPECT_EQ(report.at("endpoint.connect").outcome, "passed");
}

TEST_F(CheckSources, WrongCommandLine) {
  EXPECT_EQ(Ctl({"check", "--colour"}).exit_status, 2);
  EXPECT_EQ(Ctl({"check", "--unit", "a", "--env-file", "b"}).exit_status, 2);
  EXPECT_EQ(Ctl({"check", "-o", "xml"}).exit_status, 2);
}

// What somebody may paste where others read it.
TEST_F(CheckSources, SaysNoSecret) {
  StartKms();
  const std::string key =
      "-----BEGIN PRIVATE KEY-----\nc2VjcmV0c2VjcmV0\n-----END PRIVATE KEY-----\n";
  const std::string file = Write("both", key);
  // Also where somebody took the file's name for what is in it, and in what mends that.
  for (const std::string& value : {file, key, absl::Base64Escape(key)}) {
    for (const char* const output : {"json", "text"}) {
      flags_["--client-key"] = value;
      std::vector<std::string> arguments{"check", "-o", output, "--"};
      const std::vector<std::string> argv = Argv();
      arguments.insert(arguments.end(), argv.begin() + 1, argv.end());
      const Ended ended = Ctl(arguments);
      EXPECT_EQ(ended.exit_status, 1);
      EXPECT_THAT(ended.out + ended.err, testing::Not(testing::HasSubstr("c2VjcmV0")));
      EXPECT_THAT(ended.out + ended.err, testing::Not(testing::HasSubstr("LS0tLS1CRUdJTi")));
    }
  }
}

}  // namespace
}  // namespace okms::test
