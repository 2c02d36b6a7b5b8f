// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Broken hosts of the KMS, and keys.

#include <string>

#include "integration/check_test.h"

namespace okms::test {
namespace {

const std::vector<std::string> kKey{"key.name", "key.state", "key.usage", "key.round-trip"};

const std::vector<std::string> kVersionBlocks = With({"endpoint.clock", "endpoint.batch"}, kKey);
const std::vector<std::string> kHandshakeBlocks = With({"endpoint.version"}, kVersionBlocks);
const std::vector<std::string> kConnectBlocks = With({"endpoint.handshake"}, kHandshakeBlocks);

// As `okms-mock-kms` has it, with another certificate.
void RestartWith(CheckTest& t, const KeyPairFiles& pair) {
  t.StopKms();
  MockKmsOptions options;
  options.certificate = pair.certificate;
  options.key = pair.key;
  t.StartKms(std::move(options));
}

void RestartWith(CheckTest& t, HandlerOptions handler) {
  t.StopKms();
  t.StartKms(std::move(handler));
}

const std::vector<Broken> kBroken{
    {"NobodyListens", [](CheckTest& t) { t.StopKms(); }, "endpoint.connect", "failed",
     "127.0.0.1:PORT: connect: Connection refused", kConnectBlocks},
    {"CertificateOfAnotherName",
     [](CheckTest& t) {
       RestartWith(t, Must(t.pki_.Issue(
                          "other",
                          {.common_name = "x", .names = {"DNS:kms.example"}, .for_server = true})));
     },
     "endpoint.handshake", "failed",
     "127.0.0.1:PORT: the KMS's certificate is refused: IP address mismatch: it is for "
     "kms.example; check --serv-addr",
     kHandshakeBlocks},
    {"CertificateOfAnotherCa",
     [](CheckTest& t) {
       TempDir dir;
       TestPki pki = Must(TestPki::Create(dir.path(), "Other CA"));
       RestartWith(
           t, Must(pki.Issue("kms",
                             {.common_name = "x", .names = {"IP:127.0.0.1"}, .for_server = true})));
     },
     "endpoint.handshake", "failed",
     "127.0.0.1:PORT: the KMS's certificate is refused: unable to get local issuer certificate: "
     "the issuer is CN=Other CA; check --ca",
     kHandshakeBlocks},
    {"KmsThatDoesNotKnowUs",
     [](CheckTest& t) {
       static TempDir dir;
       TestPki pki = Must(TestPki::Create(dir.path(), "Other CA"));
       const KeyPairFiles pair = Must(pki.Issue("client", {.common_name = "stranger"}));
       t.UsePair(pair);
     },
     "endpoint.handshake", "failed",
     "127.0.0.1:PORT: read: the KMS refuses our certificate (tlsv1 alert unknown ca); check "
     "--client-cert",
     kHandshakeBlocks},
    {"NoKmip", [](CheckTest& t) { t.SetFault("garbage"); }, "endpoint.version", "failed",
     "KMIP DiscoverVersions: the answer is HTTP, not KMIP; KMIP answers at port 5696 of the KMS: "
     "check --serv-addr",
     kVersionBlocks},
    {"HangsUp", [](CheckTest& t) { t.SetFault("close"); }, "endpoint.version", "failed",
     "KMIP DiscoverVersions: 127.0.0.1:PORT: read: closed by the KMS", kVersionBlocks},
    {"SaysNothing",
     [](CheckTest& t) {
       t.flags_["--timeout"] = "300ms";
       t.SetFault("hang");
     },
     "endpoint.version", "failed", "KMIP DiscoverVersions: 127.0.0.1:PORT: read: no answer in time",
     kVersionBlocks},
    {"TooOld",
     [](CheckTest& t) {
       RestartWith(t, HandlerOptions{.versions = {{1, 1}, {1, 0}}});
     },
     "endpoint.version", "failed",
     "the KMS speaks at most KMIP 1.1 and has no Encrypt; KMIP 1.2 or later is needed",
     kVersionBlocks},
    {"ClockAhead",
     [](CheckTest& t) { RestartWith(t, HandlerOptions{.clock_ahead = 7200}); },
     "endpoint.clock",
     "warning",
     "the KMS's clock is 7200 s ahead of this machine's",
     {},
     3},
    {"ClockBehind",
     [](CheckTest& t) { RestartWith(t, HandlerOptions{.clock_ahead = -7200}); },
     "endpoint.clock",
     "warning",
     "the KMS's clock is 7200 s behind this machine's",
     {},
     3},
    {"NoBatches",
     [](CheckTest& t) { t.SetFault("refuse-batch=InvalidMessage"); },
     "endpoint.batch",
     "warning",
     "the KMS answers one operation in a request, so a herd of Decrypts takes longer; nothing has "
     "to be done",
     {},
     3},

    {"NoSuchKey",
     [](CheckTest& t) { t.flags_["--encryption-key-id"] = "none"; },
     "key.state",
     "failed",
     "key none cannot be looked at: KMIP GetAttributes refused: ItemNotFound: no object none",
     {"key.usage", "key.round-trip"}},
    {"NoSuchLabel",
     [](CheckTest& t) { t.UseLabel("none"); },
     "key.name",
     "failed",
     "no active symmetric key has the label \"none\", or this client may not see it",
     {"key.state", "key.usage", "key.round-trip"}},
    {"LabelOfSeveral",
     [](CheckTest& t) {
       t.UseLabel("kek");
       t.kms().handler().Put({.id = "key-2", .name = "kek", .material = std::string(32, 'x')});
     },
     "key.name",
     "failed",
     "the label \"kek\" fits 2 active keys (key-1, key-2); rename all but one, or name the key by "
     "its id",
     {"key.state", "key.usage", "key.round-trip"}},
    {"KeyDeactivated",
     [](CheckTest& t) { t.SetKeyState(kmip::State::kDeactivated); },
     "key.state",
     "failed",
     "key key-1 is in state Deactivated, not Active",
     {"key.usage", "key.round-trip"}},
    {"KeyMayNotDecrypt",
     [](CheckTest& t) {
       t.key_.usage_mask = kmip::kUsageEncrypt;
       t.kms().handler().Put(t.key_);
     },
     "key.usage",
     "failed",
     "key key-1 may not Decrypt by its usage mask",
     {"key.round-trip"}},
    {"KeyIsOfAnotherKind",
     [](CheckTest& t) {
       t.key_.algorithm = static_cast<kmip::CryptographicAlgorithm>(2);
       t.kms().handler().Put(t.key_);
     },
     "key.usage",
     "failed",
     "key key-1 is not an AES key (algorithm 2)",
     {"key.round-trip"}},
    {"EncryptIsDenied", [](CheckTest& t) { t.SetFault("refuse=PermissionDenied:Encrypt"); },
     "key.round-trip", "failed",
     "key key-1 does not work: KMIP Encrypt refused: PermissionDenied: told to"},
    {"DecryptGivesSomethingElse", [](CheckTest& t) { t.SetFault("wrong-data:Decrypt"); },
     "key.round-trip", "failed",
     "key key-1 does not work: the KMS decrypted its own ciphertext to something else; nothing is "
     "encrypted with this key"},
    {"TheTagIsDropped",
     [](CheckTest& t) {
       RestartWith(t, HandlerOptions{.versions = {{1, 2}}, .tag_below_1_4 = TagBelow14::kDropped});
     },
     "key.round-trip", "failed",
     "key key-1 does not work: KMIP Encrypt: the KMS returned 32 bytes for 32; with the GCM tag it "
     "must be 48. Nothing was stored. KMIP 1.2 of this KMS cannot carry the tag; it needs 1.4"},
    {"HiddenAndDenied",
     [](CheckTest& t) {
       RestartWith(t, HandlerOptions{.show_attributes = false});
       t.SetFault("refuse=PermissionDenied:Encrypt");
     },
     "key.state",
     "failed",
     "key key-1 does not work: KMIP Encrypt refused: PermissionDenied: told to; the KMS does not "
     "show its state",
     {"key.usage", "key.round-trip"}},

    {"RestErrorPage",
     [](CheckTest& t) {
       t.UseRest();
       t.SetRestFault("plain-error=502");
     },
     "endpoint.version", "failed",
     "REST list keys refused: HTTP 502 Bad Gateway, with a body of type text/html",
     With({"endpoint.clock"}, kKey)},
    {"RestNoJson",
     [](CheckTest& t) {
       t.UseRest();
       t.SetRestFault("not-json");
     },
     "endpoint.version", "failed",
     "REST list keys: the answer is no JSON but of type text/html; check that --serv-addr is the "
     "KMS's REST API",
     With({"endpoint.clock"}, kKey)},
    {"RestOtherDomain",
     [](CheckTest& t) {
       t.UseRest();
       t.flags_["--okms-id"] = "00000000-0000-4000-8000-000000000000";
     },
     "key.state",
     "failed",
     "key 6f1de3a0-2b5c-4d7e-8f90-1a2b3c4d5e6f cannot be looked at: of --okms-id "
     "00000000-0000-4000-8000-000000000000 at --serv-addr https://127.0.0.1:PORT: REST get key "
     "refused: HTTP 404 Not Found: no OKMS 00000000-0000-4000-8000-000000000000 (code 0x03035001, "
     "REST, Not Found) (request id ID, error id NotFound)",
     {"key.usage", "key.round-trip"}},
    {"RestKeyDeactivated",
     [](CheckTest& t) {
       t.UseRest();
       t.Put(absl::StrCat("id=", CheckTest::kKeyId, ",name=kek,state=Deactivated"));
     },
     "key.state",
     "failed",
     absl::StrCat("key ", "6f1de3a0-2b5c-4d7e-8f90-1a2b3c4d5e6f",
                  " is in state deactivated, not active"),
     {"key.usage", "key.round-trip"}},
};

class CheckKms : public CheckTable {};

TEST_P(CheckKms, IsSaidInOneLine) { Run(); }

INSTANTIATE_TEST_SUITE_P(Table, CheckKms, testing::ValuesIn(kBroken),
                         [](const auto& row) { return row.param.name; });

class CheckWhole : public CheckTest {};

TEST_F(CheckWhole, KeyWhoseAttributesAreHiddenIsProvenByARoundTrip) {
  StartKms(HandlerOptions{.show_attributes = false});
  const Report report = Check({"--key", "key-1"});
  EXPECT_EQ(report.exit_code, 0) << report.text;
  EXPECT_EQ(report.at("key.state").line, "key key-1 works, though the KMS does not show its state");
}

TEST_F(CheckWhole, Rest) {
  StartKms();
  UseRest();
  const Report report = Check({"--key", kKeyId});
  EXPECT_EQ(report.exit_code, 0) << report.text;
  EXPECT_EQ(report.at("endpoint.version").line, "the KMS speaks REST, HTTP 200");
  EXPECT_EQ(report.at("endpoint.clock").outcome, "passed");
  EXPECT_EQ(report.findings.count("endpoint.batch"), 0U);
}

TEST_F(CheckWhole, EachHostIsLookedAtApart) {
  StartKms();
  flags_["--serv-addr"] += ",127.0.0.1:1";
  const Report report = Check();
  EXPECT_EQ(report.exit_code, 1);
  const auto [begin, end] = report.findings.equal_range("endpoint.connect");
  ASSERT_EQ(std::distance(begin, end), 2);
  EXPECT_EQ(begin->second.outcome, "passed");
  EXPECT_EQ(std::next(begin)->second.line, "127.0.0.1:1: connect: Connection refused");
  EXPECT_EQ(report.findings.find("key.round-trip")->second.outcome, "passed");
  EXPECT_EQ(report.at("key.agreement").outcome, "skipped");
}

TEST_F(CheckWhole, HostsWithOtherKeysOfTheSameId) {
  StartKms();
  MockKmsOptions options;
  options.certificate = server_pair_.certificate;
  options.key = server_pair_.key;
  options.client_ca = pki_.ca();
  const auto second = Must(MockKms::Start(options));
  second->handler().Put({.id = "key-1", .name = "kek", .material = std::string(32, 'y')});
  flags_["--serv-addr"] += absl::StrCat(",127.0.0.1:", second->port());
  const Report report = Check();
  EXPECT_EQ(report.at("key.agreement").outcome, "failed");
  EXPECT_EQ(report.at("key.agreement").line,
            absl::StrCat("127.0.0.1:", second->port(),
                         " does not decrypt what 127.0.0.1:PORT encrypted: KMIP Decrypt refused: "
                         "CryptographicFailure: the tag does not fit"));
}

}  // namespace
}  // namespace okms::test
