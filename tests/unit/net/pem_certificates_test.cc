// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/pem_certificates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "net/x509_text.h"
#include "support/status_is.h"
#include "support/temp_dir.h"
#include "support/test_pki.h"

namespace okms {
namespace {

using test::IsOk;
using test::StatusIs;
using ::testing::MatchesRegex;
using Code = absl::StatusCode;

class PemCertificatesTest : public ::testing::Test {
 protected:
  PemCertificatesTest() : pki_(*test::TestPki::Create(directory_.path())) {
    one_ = Read(pki_.Issue("one", {.common_name = "one"})->certificate);
    two_ = Read(pki_.Issue("two", {.common_name = "two"})->certificate);
    key_ = Read(directory_ / "one.key");
  }
  static std::string Read(const std::string& path) {
    std::stringstream content;
    content << std::ifstream(path).rdbuf();
    return content.str();
  }
  static std::string Names(const std::string& pem) {
    const auto certificates = ReadCertificates(pem);
    if (!certificates.ok()) return certificates.status().ToString();
    std::string names;
    for (const X509Ptr& each : *certificates) {
      absl::StrAppend(&names, NameText(X509_get_subject_name(each.get())), " ");
    }
    EXPECT_EQ(ERR_peek_error(), 0U);
    return names;
  }

  test::TempDir directory_;
  test::TestPki pki_;
  std::string one_, two_, key_;
};

TEST_F(PemCertificatesTest, AllInTheirOrder) {
  EXPECT_EQ(Names(one_), "CN=one ");
  EXPECT_EQ(Names(two_ + one_), "CN=two CN=one ");
}

TEST_F(PemCertificatesTest, WithWhatElseFilesHold) {
  EXPECT_EQ(Names(absl::StrCat("a comment\n", one_, "\n# another\n", key_, two_, "end")),
            "CN=one CN=two ");
  EXPECT_EQ(Names(absl::StrReplaceAll(one_ + two_, {{"\n", "\r\n"}})), "CN=one CN=two ");
  EXPECT_EQ(Names(absl::StrReplaceAll(one_, {{" CERTIFICATE-", " TRUSTED CERTIFICATE-"}})),
            "CN=one ");
  EXPECT_EQ(Names(one_.substr(0, one_.size() - 1)), "CN=one ");  // no line's end
}

TEST_F(PemCertificatesTest, None) {
  for (const std::string& pem :
       {std::string(), std::string("-----BEGIN"), key_,
        absl::StrReplaceAll(one_, {{" CERTIFICATE-", " CERTIFICATE REQUEST-"}})}) {
    EXPECT_THAT(ReadCertificates(pem), StatusIs(Code::kNotFound, "no PEM certificate")) << pem;
  }
}

TEST_F(PemCertificatesTest, BrokenOneIsNamed) {
  const auto line = 2 + std::count(one_.begin(), one_.end(), '\n');
  const std::string why = absl::StrCat("certificate 2 \\(line ", line, "\\) is broken \\(.+\\)");
  const std::string cut = two_.substr(0, two_.size() / 2);
  for (const std::string& broken :
       {absl::StrReplaceAll(two_, {{"\nMII", "\n!II"}}), cut, cut + "\n" + two_,
        std::string("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")}) {
    EXPECT_THAT(ReadCertificates(absl::StrCat("# comment\n", one_, broken)),
                StatusIs(Code::kInvalidArgument, MatchesRegex(why)))
        << broken;
  }
  EXPECT_THAT(ReadCertificates(cut),
              StatusIs(Code::kInvalidArgument, MatchesRegex("certificate 1 \\(line 1\\) is .+")));
}

}  // namespace
}  // namespace okms
