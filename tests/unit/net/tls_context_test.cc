// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/tls_context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "net/system_roots.h"
#include "support/status_is.h"
#include "support/temp_dir.h"
#include "support/test_pki.h"
#include "unit/environment.h"
#include "unit/net/tls_server.h"

namespace okms {
namespace {

using test::IsOk;
using test::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;

constexpr auto kFailedPrecondition = absl::StatusCode::kFailedPrecondition;

class TlsContextTest : public ::testing::Test {
 protected:
  TlsContextTest() : pki_(*test::TestPki::Create(directory_.path())) {
    client_ = Issue("client", {.common_name = "client"});
  }

  test::KeyPairFiles Issue(const std::string& name, const test::CertificateRequest& request) {
    auto files = pki_.Issue(name, request);
    EXPECT_THAT(files, IsOk());
    return *std::move(files);
  }
  TlsFiles Files() const {
    return {
        {"--client-cert", client_.certificate}, {"--client-key", client_.key}, {"--ca", pki_.ca()}};
  }
  std::string Write(const std::string& name, const std::string& content) const {
    const std::string path = directory_ / name;
    std::ofstream(path) << content;
    return path;
  }
  static std::string Read(const std::string& path) {
    std::stringstream content;
    content << std::ifstream(path).rdbuf();
    return content.str();
  }
  // The message of one file and option, and what `why` says of it.
  static auto Refused(const std::string& option, const std::string& path, const std::string& why) {
    return StatusIs(kFailedPrecondition, absl::StrCat(option, " ", path, ": ", why));
  }

  test::TempDir directory_;
  test::TestPki pki_;
  test::KeyPairFiles client_;
};

TEST_F(TlsContextTest, TakesAnEcPairWithoutWarnings) {
  const auto context = TlsContext::Create(Files());
  ASSERT_THAT(context, IsOk());
  EXPECT_THAT((*context)->warnings(), IsEmpty());
}

TEST_F(TlsContextTest, TakesAnRsaPair) {
  client_ = Issue("rsa", {.common_name = "client", .rsa = true});
  EXPECT_THAT(TlsContext::Create(Files()), IsOk());
}

TEST_F(TlsContextTest, TakesTheSystemsRootsWithoutACaFile) {
  TlsFiles files = Files();
  files.ca.path.clear();
  EXPECT_THAT(TlsContext::Create(files), IsOk());
}

TEST_F(TlsContextTest, TakesACertificateFollowedByItsChain) {
  TlsFiles files = Files();
  files.client_cert.path = Write("chain.pem", Read(client_.certificate) + Read(pki_.ca()));
  EXPECT_THAT(TlsContext::Create(files), IsOk());
}

TEST_F(TlsContextTest, LeavesNoErrorsInTheQueueOfOpenSsl) {
  ASSERT_THAT(TlsContext::Create(Files()), IsOk());
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST_F(TlsContextTest, VerifiesThePeerAndSpeaksNothingBelowTls12) {
  const auto context = TlsContext::Create(Files());
  ASSERT_THAT(context, IsOk());
  SSL_CTX* raw = (*context)->get();
  EXPECT_EQ(SSL_CTX_get_verify_mode(raw), SSL_VERIFY_PEER);
  EXPECT_EQ(SSL_CTX_ctrl(raw, SSL_CTRL_GET_MIN_PROTO_VERSION, 0, nullptr), TLS1_2_VERSION);
  EXPECT_EQ(SSL_CTX_get_security_level(raw), 2);
}

// OpenSSL has no server without RFC 5746 to try it with.
TEST_F(TlsContextTest, TakesServersWithoutSecureRenegotiationAndNeverRenegotiates) {
  const auto context = TlsContext::Create(Files());
  ASSERT_THAT(context, IsOk());
  const SslCtxPtr other(SSL_CTX_new(TLS_client_method()));
  ASSERT_THAT((*context)->CopyTo(other.get(), "localhost"), IsOk());
  for (const SSL_CTX* each :
       {static_cast<const SSL_CTX*>((*context)->get()), static_cast<const SSL_CTX*>(other.get())}) {
    const uint64_t options = SSL_CTX_get_options(each);
    EXPECT_TRUE((options & SSL_OP_LEGACY_SERVER_CONNECT) != 0);
    EXPECT_TRUE((options & SSL_OP_NO_RENEGOTIATION) != 0);
  }
}

struct EachFile {
  const char* name;
  const char* option;
  NamedFile TlsFiles::*file;
  const char* holds_nothing;
};

class EachFileTest : public TlsContextTest, public ::testing::WithParamInterface<EachFile> {};

INSTANTIATE_TEST_SUITE_P(
    , EachFileTest,
    ::testing::Values(
        EachFile{"ClientCert", "--client-cert", &TlsFiles::client_cert,
                 "(holds no PEM certificate; give the access certificate of the KMS"
                 "|certificate 1 \\(line 1\\) is broken \\(.+\\); copy it anew)"},
        EachFile{"ClientKey", "--client-key", &TlsFiles::client_key,
                 "holds no usable PEM private key \\(.+\\); give the key of --client-cert"},
        EachFile{"Ca", "--ca", &TlsFiles::ca,
                 "(holds no PEM certificate; give the CA that signed the KMS's certificate"
                 "|certificate 1 \\(line 1\\) is broken \\(.+\\); copy it anew)"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_P(EachFileTest, Missing) {
  TlsFiles files = Files();
  const std::string path = directory_ / "missing.pem";
  (files.*GetParam().file).path = path;
  EXPECT_THAT(TlsContext::Create(files),
              Refused(GetParam().option, path,
                      "cannot be read: open: No such file or directory; correct the path"));
}

TEST_P(EachFileTest, Directory) {
  TlsFiles files = Files();
  (files.*GetParam().file).path = directory_.path();
  EXPECT_THAT(TlsContext::Create(files),
              Refused(GetParam().option, directory_.path(), "is a directory; name the PEM file"));
}

TEST_P(EachFileTest, Fifo) {
  TlsFiles files = Files();
  const std::string path = directory_ / "fifo";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  (files.*GetParam().file).path = path;
  EXPECT_THAT(TlsContext::Create(files),
              Refused(GetParam().option, path, "is a FIFO; name the PEM file"));
}

// Or it could be another file by then.
TEST_P(EachFileTest, IsOpenedOnce) {
  const TlsFiles files = Files();
  for (const std::string& content : {std::string(), std::string("not PEM at all\n")}) {
    TlsFiles each = files;
    NamedFile& file = each.*GetParam().file;
    if (!content.empty()) file.path = Write("garbage.pem", content);
    const UniqueFd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    // With its end: two alike in a row would be one event.
    ASSERT_GE(::inotify_add_watch(watch.get(), file.path.c_str(), IN_OPEN | IN_CLOSE_NOWRITE), 0);
    EXPECT_EQ(TlsContext::Create(each).ok(), content.empty());
    std::array<char, 4096> events{};
    EXPECT_EQ(::read(watch.get(), events.data(), events.size()),
              static_cast<ssize_t>(2 * sizeof(inotify_event)));
  }
}

TEST_P(EachFileTest, Unreadable) {
  // Root reads everything: then another user tries, who may read this test's directory but that.
  const bool root = ::geteuid() == 0;
  TlsFiles files = Files();
  const std::string path = Write("secret.pem", "x");
  ASSERT_EQ(::chmod(path.c_str(), 0), 0);
  (files.*GetParam().file).path = path;
  if (root) {
    ASSERT_EQ(::chmod(directory_.path().c_str(), 0755), 0);
    ASSERT_EQ(::chmod(client_.key.c_str(), 0644), 0);
    ASSERT_EQ(::seteuid(65534), 0);
  }
  const auto context = TlsContext::Create(files);
  if (root) {
    ASSERT_EQ(::seteuid(0), 0);
  }
  EXPECT_THAT(context, StatusIs(absl::StatusCode::kPermissionDenied,
                                absl::StrCat(GetParam().option, " ", path,
                                             ": cannot be read: open: Permission denied; let this "
                                             "service's user read it")));
}

TEST_P(EachFileTest, Garbage) {
  const char* const label =
      GetParam().file == &TlsFiles::client_key ? "PRIVATE KEY" : "CERTIFICATE";
  for (const std::string& content :
       {std::string("not PEM at all\n"),
        absl::StrCat("-----BEGIN ", label, "-----\nAAAA\n-----END ", label, "-----\n")}) {
    TlsFiles files = Files();
    const std::string path = Write("garbage.pem", content);
    (files.*GetParam().file).path = path;
    EXPECT_THAT(TlsContext::Create(files),
                StatusIs(kFailedPrecondition,
                         MatchesRegex(absl::StrCat(GetParam().option,
                                                   " .*/garbage.pem: ", GetParam().holds_nothing))))
        << content;
  }
}

TEST_P(EachFileTest, OfAnotherKindIsSaidToBeThat) {
  TlsFiles files = Files();
  const std::string path = Write("utf16.pem", "\xFF\xFE-");
  (files.*GetParam().file).path = path;
  EXPECT_THAT(TlsContext::Create(files),
              Refused(GetParam().option, path, "is UTF-16 text; save it as ASCII or UTF-8"));
}

TEST_P(EachFileTest, OfSystemdIsNamedByItsUnit) {
  TlsFiles files = Files();
  NamedFile& file = files.*GetParam().file;
  file.path = Write("credential", "x");
  file.from_systemd = true;
  const std::string name = std::string(GetParam().option).substr(2);
  EXPECT_THAT(
      TlsContext::Create(files),
      StatusIs(kFailedPrecondition, ::testing::StartsWith(absl::StrCat(
                                        GetParam().option, " (the file of LoadCredential=", name,
                                        ": in the unit, passed as ", file.path, "): holds no "))));
}

TEST_F(TlsContextTest, BrokenCertificateOfABundleIsNamed) {
  const std::string good = Read(pki_.ca());
  TlsFiles files = Files();
  files.ca.path = Write("bundle.pem", good + good.substr(0, 100) + "\n" + good);
  EXPECT_THAT(TlsContext::Create(files),
              StatusIs(kFailedPrecondition,
                       MatchesRegex("--ca .*/bundle.pem: certificate 2 \\(line [0-9]+\\) is broken "
                                    "\\(.+\\); copy it anew")));
}

TEST_F(TlsContextTest, ChainInTheWrongOrder) {
  TlsFiles files = Files();
  files.client_cert.path = Write("chain.pem", Read(pki_.ca()) + Read(client_.certificate));
  EXPECT_THAT(TlsContext::Create(files),
              Refused("--client-cert", files.client_cert.path,
                      "the certificate of this key must come first, and is number 2; change their "
                      "order"));
}

TEST_F(TlsContextTest, CaFileWithOnlyAKey) {
  TlsFiles files = Files();
  files.ca.path = client_.key;
  EXPECT_THAT(TlsContext::Create(files),
              Refused("--ca", client_.key,
                      "holds a private key, no certificate; give the CA that signed the KMS's "
                      "certificate"));
}

TEST_F(TlsContextTest, KeyOfAnotherCertificate) {
  TlsFiles files = Files();
  files.client_key.path = Issue("other", {.common_name = "other"}).key;
  EXPECT_THAT(TlsContext::Create(files),
              Refused("--client-key", files.client_key.path,
                      absl::StrCat("does not belong to the certificate of --client-cert ",
                                   client_.certificate, "; give the pair that was issued")));
}

TEST_F(TlsContextTest, KeyOfAnotherType) {
  TlsFiles files = Files();
  files.client_key.path = Issue("other", {.common_name = "other", .rsa = true}).key;
  EXPECT_THAT(TlsContext::Create(files),
              Refused("--client-key", files.client_key.path,
                      absl::StrCat("does not belong to the certificate of --client-cert ",
                                   client_.certificate, "; give the pair that was issued")));
}

class EncryptedKeyTest : public TlsContextTest {
 protected:
  // The client's key again, under a passphrase.
  std::string Encrypted(bool traditional) const {
    const BioPtr in(BIO_new_file(client_.key.c_str(), "r"));
    const EvpPkeyPtr key(PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr));
    const std::string path = directory_ / "encrypted.key";
    const BioPtr out(BIO_new_file(path.c_str(), "w"));
    const auto* passphrase = reinterpret_cast<const unsigned char*>("secret");
    const int written =
        traditional ? PEM_write_bio_PrivateKey_traditional(out.get(), key.get(), EVP_aes_128_cbc(),
                                                           passphrase, 6, nullptr, nullptr)
                    : PEM_write_bio_PrivateKey(out.get(), key.get(), EVP_aes_128_cbc(), passphrase,
                                               6, nullptr, nullptr);
    EXPECT_EQ(written, 1);
    return path;
  }
};

TEST_F(EncryptedKeyTest, IsRefusedWithoutAskingForThePassphrase) {
  for (const bool traditional : {false, true}) {
    TlsFiles files = Files();
    files.client_key.path = Encrypted(traditional);
    EXPECT_THAT(TlsContext::Create(files),
                Refused("--client-key", files.client_key.path,
                        "is encrypted; give the key without a passphrase"));
  }
}

TEST_F(TlsContextTest, WhatIsWrongWithTimeIsAState) {
  const std::time_t now = std::time(nullptr);
  client_ = Issue("expired", {.common_name = "client", .valid_from = -7200, .valid_until = -3600});
  auto context = TlsContext::Create(Files());
  ASSERT_THAT(context, IsOk());
  EXPECT_THAT((*context)->warnings(), IsEmpty());
  ASSERT_TRUE((*context)->validity().At(now));
  EXPECT_THAT(
      (*context)->validity().At(now)->what,
      MatchesRegex(absl::StrCat("--client-cert ", client_.certificate, ": expired on 20.* UTC")));

  client_ = Issue("early", {.common_name = "client", .valid_from = 3600, .valid_until = 7200});
  context = TlsContext::Create(Files());
  ASSERT_THAT(context, IsOk());
  EXPECT_THAT((*context)->warnings(), IsEmpty());
  ASSERT_TRUE((*context)->validity().At(now));
  EXPECT_THAT((*context)->validity().At(now)->what,
              MatchesRegex(absl::StrCat("--client-cert ", client_.certificate,
                                        ": not valid before 20.* UTC")));
}

TEST_F(TlsContextTest, TheValidityIsOfTheCaToo) {
  const std::time_t in_ten_years = std::time(nullptr) + 10L * 366 * 24 * 3600;
  client_ = Issue("long", {.common_name = "client", .valid_until = 20L * 366 * 24 * 3600});
  const auto longer = TlsContext::Create(Files());
  ASSERT_THAT(longer, IsOk());
  ASSERT_TRUE((*longer)->validity().At(in_ten_years));
  EXPECT_THAT((*longer)->validity().At(in_ten_years)->what,
              MatchesRegex(absl::StrCat("--ca ", pki_.ca(), ": expired on 20.* UTC")));
}

TEST_P(EachFileTest, ThatSystemdDidNotFind) {
  TlsFiles files = Files();
  (files.*GetParam().file).path = Write("credential", "missing");
  const std::string option = GetParam().option;
  EXPECT_THAT(TlsContext::Create(files),
              StatusIs(kFailedPrecondition,
                       absl::StrCat(option,
                                    ": systemd found no file for this credential; put it where "
                                    "LoadCredential=",
                                    option.substr(2), " of this unit says (systemctl cat)")));
}

// ---- Read

TEST_F(TlsContextTest, WhatIsWrongWithEachFileIsSaid) {
  TlsFiles files = Files();
  files.client_cert.path = directory_ / "missing.pem";
  files.client_key.path = directory_.path();
  files.ca.path = Write("empty.pem", "");
  const TlsContext::Reading reading = TlsContext::Read(files);
  EXPECT_EQ(reading.context, nullptr);
  EXPECT_THAT(
      reading.Mistakes(),
      ElementsAre(Refused("--client-cert", files.client_cert.path,
                          "cannot be read: open: No such file or directory; correct the path"),
                  Refused("--client-key", directory_.path(), "is a directory; name the PEM file"),
                  Refused("--ca", files.ca.path, "is empty; give the PEM file")));
  EXPECT_THAT(TlsContext::Create(files).status(), reading.Mistakes().front());
}

TEST_F(TlsContextTest, APairThatDoesNotFitIsOneMistake) {
  TlsFiles files = Files();
  files.client_key.path = Issue("other", {.common_name = "other"}).key;
  files.ca.path = client_.key;
  const TlsContext::Reading reading = TlsContext::Read(files);
  EXPECT_THAT(reading.Mistakes(),
              ElementsAre(StatusIs(kFailedPrecondition, HasSubstr("does not belong to")),
                          StatusIs(kFailedPrecondition, HasSubstr("holds a private key"))));
  EXPECT_EQ(reading.key_misfit, reading.Mistakes().front());
  EXPECT_THAT(reading.cert_misfit, IsOk());
  EXPECT_THAT(TlsContext::Read(Files()).key_misfit, IsOk());
}

TEST_F(TlsContextTest, ChainThatDoesNotLeadOnIsNoMistake) {
  TlsFiles files = Files();
  const std::string other = Issue("other", {.common_name = "other"}).certificate;
  files.client_cert.path = Write("leads.pem", Read(client_.certificate) + Read(pki_.ca()));
  EXPECT_EQ(TlsContext::Read(files).chain_trouble, "");
  files.client_cert.path = Write("ends.pem", Read(client_.certificate) + Read(other));
  const TlsContext::Reading reading = TlsContext::Read(files);
  EXPECT_THAT(reading.Mistakes(), IsEmpty());
  EXPECT_THAT(reading.chain_trouble,
              MatchesRegex("certificate 2 of the file, \"other\", did not issue the one before it, "
                           "\".*\""));
}

TEST_F(TlsContextTest, WhatCouldBeReadIsLookedAtInAnyCase) {
  client_ = Issue("expired", {.common_name = "client", .valid_from = -7200, .valid_until = -3600});
  ASSERT_EQ(::chmod(client_.key.c_str(), 0644), 0);
  TlsFiles files = Files();
  files.ca.path = directory_ / "missing.pem";
  const TlsContext::Reading reading = TlsContext::Read(files);
  EXPECT_THAT(reading.Mistakes(), ElementsAre(StatusIs(kFailedPrecondition, HasSubstr("--ca "))));
  EXPECT_THAT(reading.warnings, ElementsAre(HasSubstr("every user of this machine can read it")));
  ASSERT_TRUE(reading.validity.At(std::time(nullptr)));
  EXPECT_THAT(reading.validity.At(std::time(nullptr))->what, HasSubstr("expired on"));
}

TEST_F(TlsContextTest, WorldReadableKeyIsAWarning) {
  ASSERT_EQ(::chmod(client_.key.c_str(), 0644), 0);
  const auto context = TlsContext::Create(Files());
  ASSERT_THAT(context, IsOk());
  EXPECT_THAT((*context)->warnings(),
              ElementsAre(absl::StrCat("--client-key ", client_.key,
                                       ": every user of this machine can read it; chmod o-rwx")));
}

TEST_F(TlsContextTest, GroupReadableKeyIsNone) {
  ASSERT_EQ(::chmod(client_.key.c_str(), 0640), 0);
  const auto context = TlsContext::Create(Files());
  ASSERT_THAT(context, IsOk());
  EXPECT_THAT((*context)->warnings(), IsEmpty());
}

// ---- Whom it trusts

class RootsTest : public TlsContextTest {
 protected:
  RootsTest()
      : system_pki_(*test::TestPki::Create(elsewhere_.path(), "CA of the system")),
        cert_file_("SSL_CERT_FILE", system_pki_.ca()),
        cert_dir_("SSL_CERT_DIR", elsewhere_ / "none") {}

  // Whether a server whose certificate `pki` issued is trusted.
  static bool Trusts(const absl::StatusOr<std::unique_ptr<TlsContext>>& context,
                     test::TestPki& pki) {
    const auto files = pki.Issue("kms", {.common_name = "kms", .for_server = true});
    EXPECT_THAT(files, IsOk());
    const BioPtr bio(BIO_new_file(files->certificate.c_str(), "r"));
    const X509Ptr certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    const StoreCtxPtr verification(X509_STORE_CTX_new());
    EXPECT_EQ(X509_STORE_CTX_init(verification.get(), SSL_CTX_get_cert_store((*context)->get()),
                                  certificate.get(), nullptr),
              1);
    return X509_verify_cert(verification.get()) == 1;
  }

  using StoreCtxPtr = std::unique_ptr<X509_STORE_CTX, OpenSslDeleter<X509_STORE_CTX_free>>;

  test::TempDir elsewhere_;
  test::TestPki system_pki_;
  test::ScopedVariable cert_file_;
  test::ScopedVariable cert_dir_;
};

TEST_F(RootsTest, GivenCaAloneWithOnlyCa) {
  TlsFiles files = Files();
  ASSERT_TRUE(files.only_ca);  // the default
  const auto context = TlsContext::Create(files);
  ASSERT_THAT(context, IsOk());
  EXPECT_TRUE(Trusts(context, pki_));
  EXPECT_FALSE(Trusts(context, system_pki_));
}

TEST_F(RootsTest, GivenCaAndTheSystemsRootsWithoutOnlyCa) {
  TlsFiles files = Files();
  files.only_ca = false;
  const auto context = TlsContext::Create(files);
  ASSERT_THAT(context, IsOk());
  EXPECT_TRUE(Trusts(context, pki_));
  EXPECT_TRUE(Trusts(context, system_pki_));
}

TEST_F(RootsTest, SystemsRootsWithoutACaFile) {
  for (const bool only_ca : {true, false}) {
    TlsFiles files = Files();
    files.ca.path.clear();
    files.only_ca = only_ca;
    const auto context = TlsContext::Create(files);
    ASSERT_THAT(context, IsOk());
    EXPECT_FALSE(Trusts(context, pki_));
    EXPECT_TRUE(Trusts(context, system_pki_));
  }
}

// As on a machine that has no file of them all: read at once, since no directory is in reach later.
TEST_F(RootsTest, SystemsRootsFromADirectory) {
  const std::string directory = elsewhere_ / "hashed";
  std::filesystem::create_directory(directory);
  const BioPtr bio(BIO_new_file(system_pki_.ca().c_str(), "r"));
  const X509Ptr root(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  char name[16];
  std::snprintf(name, sizeof name, "%08lx.0", X509_subject_name_hash(root.get()));
  std::filesystem::copy(system_pki_.ca(), directory + "/" + name);
  std::ofstream(directory + "/00000000.0") << "no certificate";
  const test::ScopedVariable no_file("SSL_CERT_FILE", elsewhere_ / "none.pem");
  const test::ScopedVariable directories("SSL_CERT_DIR",
                                         absl::StrCat(elsewhere_ / "none", ":", directory));
  TlsFiles files = Files();
  files.ca.path.clear();
  const auto context = TlsContext::Create(files);
  ASSERT_THAT(context, IsOk());
  std::filesystem::remove_all(directory);
  EXPECT_TRUE(Trusts(context, system_pki_));
  EXPECT_FALSE(Trusts(context, pki_));
}

// Within the sandbox they are out of reach.
TEST_F(RootsTest, SystemsRootsThatWereReadBefore) {
  for (const bool with_ca : {true, false}) {
    TlsFiles files = Files();
    if (!with_ca) files.ca.path.clear();
    files.only_ca = false;
    ASSERT_TRUE(files.TrustSystemRoots());
    const auto roots = ReadSystemRoots();
    const test::ScopedVariable no_file("SSL_CERT_FILE", elsewhere_ / "none.pem");
    for (int time = 0; time < 2; ++time) {
      const auto context = TlsContext::Create(files, roots);
      ASSERT_THAT(context, IsOk());
      EXPECT_TRUE(Trusts(context, system_pki_));
      EXPECT_EQ(Trusts(context, pki_), with_ca);
    }
  }
  EXPECT_FALSE(Files().TrustSystemRoots());
}

TEST_F(TlsContextTest, TheSameCertificatesAreTheSameIdentity) {
  const auto identity = [](const TlsFiles& files) {
    const auto context = TlsContext::Create(files);
    EXPECT_THAT(context, IsOk());
    return context.ok() ? (*context)->identity() : "";
  };
  const std::string first = identity(Files());
  EXPECT_EQ(identity(Files()), first);
  TlsFiles files = Files();
  const test::TempDir elsewhere;
  files.ca.path = test::TestPki::Create(elsewhere.path())->ca();
  EXPECT_NE(identity(files), first) << "another CA";
  std::ofstream(client_.certificate, std::ios::app) << std::ifstream(pki_.ca()).rdbuf();
  EXPECT_NE(identity(Files()), first) << "another certificate on the way to the CA";
  client_ = *pki_.Issue("client", {.common_name = "client"});
  EXPECT_NE(identity(Files()), first) << "another certificate";
}

TEST_F(RootsTest, NoSystemsRootsAreAnErrorWithoutACaFile) {
  const std::string none = elsewhere_ / "none.pem";
  const test::ScopedVariable no_file("SSL_CERT_FILE", none);
  TlsFiles files = Files();
  files.only_ca = false;
  EXPECT_THAT(TlsContext::Create(files), IsOk());
  files.ca.path.clear();
  EXPECT_THAT(
      TlsContext::Create(files),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               absl::StrCat("no system CA certificates found in ", none, ", ", elsewhere_ / "none",
                            "; install them (Debian: ca-certificates), or give --ca")));
}

TEST_F(RootsTest, CaFileIsReadWithoutOnlyCaToo) {
  TlsFiles files = Files();
  files.only_ca = false;
  files.ca.path = directory_ / "missing.pem";
  EXPECT_THAT(TlsContext::Create(files),
              Refused("--ca", files.ca.path,
                      "cannot be read: open: No such file or directory; correct the path"));
}

// ---- CopyTo

class CopyToTest : public TlsContextTest {
 protected:
  static void SetUpTestSuite() { ::signal(SIGPIPE, SIG_IGN); }  // as the program does

  CopyToTest() : other_(SSL_CTX_new(TLS_client_method())) {
    server_ = Issue(
        "server",
        {.common_name = "server", .names = {"DNS:localhost", "IP:127.0.0.1"}, .for_server = true});
  }
  test::TlsServerOptions Options() const { return {.identity = server_, .client_ca = pki_.ca()}; }

  absl::Status Copy(const TlsFiles& files, const std::string& host) {
    const auto context = TlsContext::Create(files);
    EXPECT_THAT(context, IsOk());
    // What it was made from is gone when the copy is used.
    return (*context)->CopyTo(other_.get(), host);
  }
  // What the verification of the server's certificate says, after an attempt with the copy; the
  // server is given time for its part.
  long Connect(test::TlsServer& server) {
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(server.port());
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const SslPtr ssl(SSL_new(other_.get()));
    SSL_set_fd(ssl.get(), fd.get());
    if (SSL_connect(ssl.get()) == 1) SSL_shutdown(ssl.get());
    ::shutdown(fd.get(), SHUT_WR);
    server.Join();
    return SSL_get_verify_result(ssl.get());
  }

  SslCtxPtr other_;
  test::KeyPairFiles server_;
};

TEST_F(CopyToTest, CarriesTheIdentityItsChainAndTheRoots) {
  // A certificate that nobody needs, which therefore is sent only because it is in the file.
  const std::string extra = Issue("extra", {.common_name = "in the chain"}).certificate;
  TlsFiles files = Files();
  files.client_cert.path = Write("chain.pem", Read(client_.certificate) + Read(extra));
  ASSERT_THAT(Copy(files, "localhost"), IsOk());

  std::vector<std::string> chain;
  test::TlsServer server(Options(), [&](SSL* ssl) {
    STACK_OF(X509)* sent = SSL_get_peer_cert_chain(ssl);
    for (int i = 0; i < sk_X509_num(sent); ++i) {
      char text[256] = "";
      X509_NAME_get_text_by_NID(X509_get_subject_name(sk_X509_value(sent, i)), NID_commonName, text,
                                sizeof text);
      chain.emplace_back(text);
    }
  });
  EXPECT_EQ(Connect(server), X509_V_OK);
  EXPECT_TRUE(server.accepted());
  EXPECT_EQ(server.client(), "client");
  EXPECT_THAT(chain, ElementsAre("in the chain"));
}

TEST_F(CopyToTest, SetsTheRulesWhateverWasThereBefore) {
  SSL_CTX_set_verify(other_.get(), SSL_VERIFY_NONE, nullptr);
  ASSERT_EQ(SSL_CTX_set_min_proto_version(other_.get(), TLS1_VERSION), 1);
  ASSERT_EQ(SSL_CTX_set_cipher_list(other_.get(), "ALL:@SECLEVEL=0"), 1);
  ASSERT_THAT(Copy(Files(), "localhost"), IsOk());
  EXPECT_EQ(SSL_CTX_get_verify_mode(other_.get()), SSL_VERIFY_PEER);
  EXPECT_EQ(SSL_CTX_ctrl(other_.get(), SSL_CTRL_GET_MIN_PROTO_VERSION, 0, nullptr), TLS1_2_VERSION);
  EXPECT_EQ(SSL_CTX_get_security_level(other_.get()), 2);
}

TEST_F(CopyToTest, ServerBelowTls12IsRefused) {
  ASSERT_EQ(SSL_CTX_set_min_proto_version(other_.get(), TLS1_VERSION), 1);
  ASSERT_THAT(Copy(Files(), "127.0.0.1"), IsOk());
  test::TlsServerOptions options = Options();
  options.min_version = options.max_version = TLS1_1_VERSION;
  options.cipher_list = "ALL:@SECLEVEL=0";
  test::TlsServer server(options, [](SSL*) {});
  Connect(server);
  EXPECT_FALSE(server.accepted());
}

TEST_F(CopyToTest, RootsReplaceThoseOfTheOther) {
  const test::TempDir elsewhere;
  auto other_pki = test::TestPki::Create(elsewhere.path(), "Other CA");
  ASSERT_THAT(other_pki, IsOk());
  ASSERT_EQ(SSL_CTX_load_verify_file(other_.get(), other_pki->ca().c_str()), 1);
  ASSERT_THAT(Copy(Files(), "127.0.0.1"), IsOk());
  test::TlsServerOptions options = Options();
  options.identity = *other_pki->Issue(
      "server", {.common_name = "server", .names = {"IP:127.0.0.1"}, .for_server = true});
  test::TlsServer server(options, [](SSL*) {});
  EXPECT_NE(Connect(server), X509_V_OK);
  EXPECT_FALSE(server.accepted());
}

// As libcurl adds the system's, when the handshake is under way already.
TEST_F(CopyToTest, RootsThatTheOtherGetsLaterDoNotCount) {
  const test::TempDir elsewhere;
  auto other_pki = test::TestPki::Create(elsewhere.path(), "Other CA");
  ASSERT_THAT(other_pki, IsOk());
  const auto context = TlsContext::Create(Files());
  ASSERT_THAT(context, IsOk());
  ASSERT_THAT((*context)->CopyTo(other_.get(), "127.0.0.1"), IsOk());
  X509_STORE* const store = SSL_CTX_get_cert_store(other_.get());
  ASSERT_EQ(X509_STORE_load_file(store, other_pki->ca().c_str()), 1);
  EXPECT_NE(store, SSL_CTX_get_cert_store((*context)->get()));
  test::TlsServerOptions options = Options();
  options.identity = *other_pki->Issue(
      "server", {.common_name = "server", .names = {"IP:127.0.0.1"}, .for_server = true});
  test::TlsServer server(options, [](SSL*) {});
  EXPECT_NE(Connect(server), X509_V_OK);
  EXPECT_FALSE(server.accepted());
}

TEST_F(CopyToTest, IdentityReplacesThatOfTheOther) {
  const auto old = Issue("old", {.common_name = "old"});
  ASSERT_EQ(SSL_CTX_use_certificate_chain_file(other_.get(), old.certificate.c_str()), 1);
  ASSERT_EQ(SSL_CTX_use_PrivateKey_file(other_.get(), old.key.c_str(), SSL_FILETYPE_PEM), 1);
  ASSERT_THAT(Copy(Files(), "127.0.0.1"), IsOk());
  test::TlsServer server(Options(), [](SSL*) {});
  EXPECT_EQ(Connect(server), X509_V_OK);
  EXPECT_EQ(server.client(), "client");
}

struct HostCase {
  const char* name;
  const char* host;
  std::vector<std::string> names;
  long result;
};

class CopyToHostTest : public CopyToTest, public ::testing::WithParamInterface<HostCase> {};
INSTANTIATE_TEST_SUITE_P(
    , CopyToHostTest,
    ::testing::Values(
        HostCase{"Name", "localhost", {"DNS:localhost"}, X509_V_OK},
        HostCase{"NameInAnotherCase", "LocalHost", {"DNS:localhost"}, X509_V_OK},
        HostCase{"Address", "127.0.0.1", {"IP:127.0.0.1"}, X509_V_OK},
        HostCase{"Wildcard", "kms.ovh.example", {"DNS:*.ovh.example"}, X509_V_OK},
        HostCase{"OtherName", "localhost", {"DNS:other.example"}, X509_V_ERR_HOSTNAME_MISMATCH},
        HostCase{"OtherAddress", "127.0.0.1", {"IP:127.0.0.2"}, X509_V_ERR_IP_ADDRESS_MISMATCH},
        HostCase{
            "AddressAsDnsName", "127.0.0.1", {"DNS:127.0.0.1"}, X509_V_ERR_IP_ADDRESS_MISMATCH},
        HostCase{"NameInTheCommonNameOnly", "localhost", {}, X509_V_ERR_HOSTNAME_MISMATCH},
        HostCase{"AddressInTheCommonNameOnly", "127.0.0.1", {}, X509_V_ERR_IP_ADDRESS_MISMATCH},
        HostCase{"NameAsAddressEntry", "localhost", {"IP:127.0.0.1"}, X509_V_ERR_HOSTNAME_MISMATCH},
        HostCase{"PartialWildcard", "localhost", {"DNS:local*"}, X509_V_ERR_HOSTNAME_MISMATCH}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_P(CopyToHostTest, IsChecked) {
  ASSERT_THAT(Copy(Files(), GetParam().host), IsOk());
  test::TlsServerOptions options = Options();
  options.identity = Issue(
      "named", {.common_name = GetParam().host, .names = GetParam().names, .for_server = true});
  test::TlsServer server(options, [](SSL*) {});
  EXPECT_EQ(Connect(server), GetParam().result);
  EXPECT_EQ(server.accepted(), GetParam().result == X509_V_OK);
}

TEST_F(CopyToTest, LeavesNoErrorsInTheQueueOfOpenSsl) {
  ASSERT_THAT(Copy(Files(), "localhost"), IsOk());
  EXPECT_EQ(ERR_peek_error(), 0u);
}

}  // namespace
}  // namespace okms
