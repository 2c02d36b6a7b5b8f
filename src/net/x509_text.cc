// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/x509_text.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/x509v3.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status.h"
#include "net/openssl_ptr.h"

namespace okms {
namespace {

using GeneralNamesPtr = std::unique_ptr<GENERAL_NAMES, OpenSslDeleter<GENERAL_NAMES_free>>;

// What was written to it.
std::string Contents(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return Printable(absl::string_view(data, static_cast<std::size_t>(size)));
}

absl::string_view Bytes(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(ASN1_STRING_length(text))};
}

}  // namespace

std::string TimeText(const ASN1_TIME* time) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (!bio || ASN1_TIME_print(bio.get(), time) != 1) return "an unreadable date";
  return Contents(bio.get());
}

std::string NameText(const X509_NAME* name) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (!bio || X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253) < 0) return "unreadable";
  return Contents(bio.get());
}

std::string AlternativeNames(const X509* certificate) {
  const GeneralNamesPtr names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  std::string all;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    std::string text;
    if (name->type == GEN_DNS) text = std::string(Bytes(name->d.dNSName));
    if (name->type == GEN_IPADD) {
      const absl::string_view bytes = Bytes(name->d.iPAddress);
      char ip[INET6_ADDRSTRLEN] = "?";
      if (bytes.size() == 4) ::inet_ntop(AF_INET, bytes.data(), ip, sizeof ip);
      if (bytes.size() == 16) ::inet_ntop(AF_INET6, bytes.data(), ip, sizeof ip);
      text = ip;
    }
    if (!text.empty()) absl::StrAppend(&all, all.empty() ? "" : ", ", text);
  }
  return Printable(all);
}

}  // namespace okms
