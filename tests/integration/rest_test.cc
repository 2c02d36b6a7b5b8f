// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// The REST protocol as it should be: what is asked, what is stored, which key is taken, and whom
// the plugin trusts.

#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "integration/rest_plugin_test.h"
#include "mock_kms/jwe.h"

namespace okms::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

class RestTest : public RestPluginTest {};

TEST_F(RestTest, AsksWhatTheGoPluginAsks) {
  StartOkms();
  StartReady();
  ExpectRoundTrip();
  const std::string keys = absl::StrCat("/api/", kDefaultOkmsId, "/v1/servicekey");
  const std::string key = absl::StrCat(keys, "/", kKeyId);
  std::vector<std::string> seen;
  for (const RestRequest& request : okms().Requests()) {
    seen.push_back(absl::StrCat(request.method, " ", request.target));
    EXPECT_EQ(request.Header("Accept-Encoding"), "");
    EXPECT_EQ(request.Header("Authorization"), "");
    EXPECT_EQ(request.Header("Content-Type"), request.method == "POST" ? "application/json" : "");
    EXPECT_THAT(request.body, Not(HasSubstr("context")));
  }
  // A check and its proof, then the two calls, of which the first looks whether it can be undone.
  EXPECT_THAT(seen, ElementsAre("GET " + key, "POST " + key + "/encrypt",
                                "POST " + key + "/decrypt", "POST " + key + "/encrypt",
                                "POST " + key + "/decrypt", "POST " + key + "/decrypt"));
}

TEST_F(RestTest, StatusCostsNoRequest) {
  StartOkms();
  StartReady();
  okms().ClearRequests();
  for (int i = 0; i < 20; ++i) EXPECT_THAT(client().Status(), IsOk());
  EXPECT_THAT(okms().Requests(), IsEmpty());
}

TEST_F(RestTest, StoresTheTextOfTheKmsAndNothingElse) {
  StartOkms();
  StartReady();
  const auto record = client().Encrypt(NewPlaintext());
  ASSERT_THAT(record, IsOk());
  EXPECT_EQ(record->key_id, kKeyId);
  EXPECT_THAT(record->ciphertext, StartsWith("eyJ"));
  EXPECT_THAT(record->annotations, IsEmpty());
}

// What the Go plugin stores is the text of the KMS too, here of one that is not the mock.
TEST_F(RestTest, ReadsARecordOfTheGoPlugin) {
  Put(absl::StrCat("id=", kOtherKeyId, ",name=old,material=",
                   "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"));
  StartOkms();
  StartReady();
  const std::string plaintext = NewPlaintext();
  const MockKey old = *keys_.Find(kOtherKeyId);
  const std::string jwe =
      Must(JweEncrypt(AsBytes(old.material), {.kid = old.id}, AsBytes(plaintext)));
  const auto back = client().Decrypt(
      {.ciphertext = jwe, .key_id = "0B1DE3A0-2B5C-4D7E-8F90-1A2B3C4D5E6F", .annotations = {}});
  ASSERT_THAT(back, IsOk());
  EXPECT_TRUE(*back == plaintext);
  const RestRequest last = okms().Requests().back();
  EXPECT_EQ(last.target,
            absl::StrCat("/api/", kDefaultOkmsId, "/v1/servicekey/", kOtherKeyId, "/decrypt"));
  EXPECT_EQ(last.body, absl::StrCat(R"({"ciphertext":")", jwe, R"("})"));
}

// The key id in etcd is the configured text, so that a change of plugin is no change of key.
class KeyIdFormTest : public RestTest, public testing::WithParamInterface<const char*> {};

TEST_P(KeyIdFormTest, IsKeptAsItIs) {
  flags_["--encryption-key-id"] = GetParam();
  flags_["--okms-id"] = absl::StrCat("{", kDefaultOkmsId, "}");
  StartOkms();
  StartReady();
  EXPECT_TRUE(AwaitKey(GetParam()));
  ExpectRoundTrip();
}

INSTANTIATE_TEST_SUITE_P(Forms, KeyIdFormTest,
                         testing::Values("6F1DE3A0-2B5C-4D7E-8F90-1A2B3C4D5E6F",
                                         "urn:uuid:6f1de3a0-2b5c-4d7e-8f90-1a2b3c4d5e6f",
                                         "{6f1de3a0-2b5c-4d7e-8f90-1a2b3c4d5e6f}",
                                         "6f1de3a02b5c4d7e8f901a2b3c4d5e6f"));

TEST_F(RestTest, AddressMayHaveSlashesAtItsEnd) {
  flags_["--serv-addr"] += "//";
  StartOkms();
  StartReady();
}

class RestLabelTest : public RestPluginTest {
 protected:
  RestLabelTest() { UseLabel("kek"); }
};

TEST_F(RestLabelTest, IsFoundOnALaterPage) {
  for (int i = 0; i < 25; ++i) {
    Put(absl::StrFormat("id=%08x-0000-4000-8000-000000000000,name=other-%d", i, i));
  }
  StartOkms(/*page_size=*/10);
  StartReady();
  EXPECT_TRUE(AwaitKey(kKeyId));
  EXPECT_EQ(Count(RestCall::kList), 3);
  ExpectRoundTrip();
}

TEST_F(RestLabelTest, IsNotThere) {
  UseLabel("other");
  StartOkms();
  StartPlugin();
  EXPECT_THAT(client().Status(),
              StatusIs(Code::kNotFound,
                       "no active symmetric key has the label \"other\", or this client may "
                       "not see it"));
  EXPECT_EQ(Count(RestCall::kGet), 0) << "the Go plugin asks for key 00000000-... then";
  Put(absl::StrCat("id=", kOtherKeyId, ",name=other"));
  EXPECT_TRUE(AwaitKey(kOtherKeyId));
}

TEST_F(RestLabelTest, FitsTwoKeys) {
  Put(absl::StrCat("id=", kOtherKeyId, ",name=kek"));
  StartOkms();
  StartPlugin();
  const std::string reason =
      absl::StrCat("the label \"kek\" fits 2 active keys (", kOtherKeyId, ", ", kKeyId,
                   "); rename all but one, or name the key by its id");
  EXPECT_THAT(client().Status(), StatusIs(Code::kFailedPrecondition, reason));
  EXPECT_THAT(client().Encrypt(NewPlaintext()), StatusIs(Code::kFailedPrecondition, reason));
  Put(absl::StrCat("id=", kKeyId, ",name=retired"));
  EXPECT_TRUE(AwaitKey(kOtherKeyId));
}

TEST_F(RestLabelTest, DeactivatedNamesakesDoNotCount) {
  Put(absl::StrCat("id=", kOtherKeyId, ",name=kek,state=Deactivated"));
  StartOkms();
  StartReady();
  EXPECT_TRUE(AwaitKey(kKeyId));
}

struct Unfit {
  const char* key;
  const char* reason;
};

class UnfitKeyTest : public RestTest, public testing::WithParamInterface<Unfit> {};

TEST_P(UnfitKeyTest, IsRefusedInWords) {
  Put(absl::StrCat("id=", kKeyId, ",", GetParam().key));
  StartOkms();
  StartPlugin();
  const std::string reason = absl::StrCat("key ", kKeyId, " ", GetParam().reason);
  EXPECT_THAT(client().Status(), StatusIs(Code::kFailedPrecondition, reason));
  EXPECT_THAT(client().Encrypt(NewPlaintext()), StatusIs(Code::kFailedPrecondition, reason));
  EXPECT_EQ(Count(RestCall::kEncrypt), 0);
}

INSTANTIATE_TEST_SUITE_P(
    Keys, UnfitKeyTest,
    testing::Values(Unfit{"state=Deactivated", "is in state deactivated, not active"},
                    Unfit{"state=PreActive", "is in state pre_active, not active"},
                    Unfit{"usage=encrypt", "may not decrypt (its operations: encrypt)"},
                    Unfit{"usage=decrypt", "may not encrypt (its operations: decrypt)"}));

TEST_F(RestTest, KeyThatIsNoSymmetricKeyIsRefused) {
  MockKey key = *keys_.Find(kKeyId);
  key.object_type = kmip::ObjectType::kCertificate;
  keys_.Put(key);
  StartOkms();
  StartPlugin();
  EXPECT_THAT(client().Status(),
              StatusIs(Code::kFailedPrecondition,
                       absl::StrCat("key ", kKeyId, " is no symmetric key (type RSA, not oct)")));
}

// It may be that only Encrypt and Decrypt are allowed.
TEST_F(RestTest, KeyThatMayNotBeSeenIsProvenByARoundTrip) {
  StartOkms();
  SetRestFault("status=403:get");
  StartReady();
  ExpectRoundTrip();
}

// The other protocol's records have annotations.
TEST_F(RestTest, RecordOfTheOtherProtocolIsSaidToBeOne) {
  StartOkms();
  StartReady();
  const int decrypts = Count(RestCall::kDecrypt);
  const Record record{.ciphertext = std::string(48, 'x'),
                      .key_id = kKeyId,
                      .annotations = {{"iv.okms.ovh.com", std::string(12, 'i')}}};
  EXPECT_THAT(client().Decrypt(record),
              StatusIs(Code::kInvalidArgument,
                       AllOf(HasSubstr("iv.okms.ovh.com"), HasSubstr("--protocol kmip"))));
  EXPECT_EQ(Count(RestCall::kDecrypt), decrypts);
}

TEST_F(RestTest, StartsWithoutTheKmsAndBecomesReady) {
  StartPlugin();
  EXPECT_THAT(client().Status(),
              StatusIs(Code::kUnavailable,
                       absl::StrCat("127.0.0.1:", port(), ": connect: Connection refused")));
  StartOkms();
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
  ExpectRoundTrip();
}

TEST_F(RestTest, KmsThatRestartsIsNotNoticed) {
  StartOkms();
  StartReady();
  for (int i = 0; i < 3; ++i) {
    StopOkms();
    StartOkms();
    ExpectRoundTrip();
  }
}

// --ca: the system's roots count as well, unless --ca-only.
// ---- The port of the other protocol

TEST_F(RestTest, AtThePortOfKmipItSaysWhereTheApiIs) {
  constexpr char kHint[] = "; the REST API answers at port 443 of the KMS: check --serv-addr";
  StartKms();
  StartPlugin();
  EXPECT_THAT(client().Status().status(), StatusIs(Code::kUnavailable, HasSubstr(kHint)));
}

class RestTrustTest : public RestTest {
 protected:
  // The system's roots become the KMS's CA, and --ca another one.
  RestTrustTest() : other_(Must(TestPki::Create(other_folder_.path(), "Another CA"))) {
    flags_["--ca"] = other_.ca();
    environment_ = {absl::StrCat("SSL_CERT_FILE=", pki_.ca())};
    StartOkms();
  }
  TempDir other_folder_;
  TestPki other_;
  std::vector<std::string> environment_;
};

TEST_F(RestTrustTest, SystemRootsCountBesideTheCa) {
  StartPlugin({.environment = environment_});
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
}

TEST_F(RestTrustTest, OnlyTheCaCountsWhenToldSo) {
  flags_["--ca-only"] = "";
  StartPlugin({.environment = environment_});
  EXPECT_THAT(client().Status(),
              StatusIs(Code::kUnauthenticated,
                       AllOf(HasSubstr("certificate is refused"), HasSubstr("check --ca"))));
}

// Neither what one refusal leaves behind, nor what OpenSSL or libcurl would look for in the
// system's folders, which are out of reach by then, changes how the next one is told.
TEST_F(RestTrustTest, RefusalIsTheSameEachTime) {
  StopOkms();
  server_pair_ = Must(other_.Issue(
      "server", {.common_name = "kms", .names = {"IP:127.0.0.1"}, .for_server = true}));
  StartOkms();
  for (const std::string& ca : {pki_.ca(), std::string()}) {
    flags_.erase("--ca");
    if (!ca.empty()) flags_["--ca"] = ca;
    StartPlugin();
    const absl::Status first = client().Status().status();
    EXPECT_THAT(first,
                StatusIs(Code::kUnauthenticated,
                         HasSubstr("the KMS's certificate is refused: unable to get local issuer "
                                   "certificate: the issuer is CN=Another CA; check --ca")));
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(client().Encrypt(NewPlaintext()).status().code(), Code::kUnauthenticated);
      EXPECT_EQ(client().Status().status(), first);
    }
    EXPECT_EQ(StopPlugin(), 0);
  }
}

TEST_F(RestTest, CaCountsBesideTheSystemRoots) {
  TempDir other_folder;
  const TestPki other = Must(TestPki::Create(other_folder.path(), "Another CA"));
  StartOkms();
  StartPlugin({.environment = {absl::StrCat("SSL_CERT_FILE=", other.ca())}});
  EXPECT_THAT(AwaitStatus(Code::kOk), IsOk());
}

}  // namespace
}  // namespace okms::test
