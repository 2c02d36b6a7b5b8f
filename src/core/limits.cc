// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "core/limits.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/status.h"
#include "base/utf8.h"

namespace okms {
namespace {

std::size_t AnnotationsSize(const Ciphertext& ciphertext) {
  std::size_t size = 0;
  for (const auto& [name, value] : ciphertext.annotations) size += name.size() + value.size();
  return size;
}

}  // namespace

bool IsFullyQualifiedDomainName(absl::string_view name) {
  if (name.empty() || name.size() > 253) return false;
  int labels = 0;
  for (const absl::string_view label : absl::StrSplit(name, '.')) {
    const auto alphanumeric = [](char c) {
      return absl::ascii_islower(static_cast<unsigned char>(c)) ||
             absl::ascii_isdigit(static_cast<unsigned char>(c));
    };
    if (label.empty() || label.size() > 63) return false;
    if (!alphanumeric(label.front()) || !alphanumeric(label.back())) return false;
    for (const char c : label) {
      if (!alphanumeric(c) && c != '-') return false;
    }
    ++labels;
  }
  return labels >= 2;
}

absl::Status CheckKeyId(absl::string_view key_id) {
  if (key_id.empty()) return absl::FailedPreconditionError("the key id is empty");
  if (key_id.size() > kMaxKeyIdSize) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the key id has ", key_id.size(), " bytes; kube-apiserver takes at most ", kMaxKeyIdSize));
  }
  // gRPC's clients would refuse the whole answer over it, and not say why.
  if (!IsUtf8(key_id)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the key id \"", Printable(key_id, 80), "\" is no UTF-8; use another key"));
  }
  return absl::OkStatus();
}

absl::Status CheckEncrypted(const Ciphertext& ciphertext) {
  if (ciphertext.bytes.empty()) return absl::DataLossError("the KMS returned an empty ciphertext");
  if (ciphertext.bytes.size() > kMaxCiphertextSize) {
    return absl::DataLossError(
        absl::StrCat("the KMS returned a ciphertext of ", ciphertext.bytes.size(),
                     " bytes; kube-apiserver takes at most ", kMaxCiphertextSize));
  }
  if (const std::size_t size = AnnotationsSize(ciphertext); size > kMaxAnnotationsSize) {
    return absl::DataLossError(absl::StrCat("the annotations have ", size,
                                            " bytes; kube-apiserver takes at most ",
                                            kMaxAnnotationsSize));
  }
  for (const auto& [name, value] : ciphertext.annotations) {
    if (!IsFullyQualifiedDomainName(name)) {
      return absl::DataLossError(absl::StrCat("annotation \"", Printable(name, 80),
                                              "\" is no fully qualified domain name"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckPlaintext(std::size_t size) {
  if (size == 0) return absl::InvalidArgumentError("the plaintext is empty");
  if (size > kMaxPlaintextSize) {
    return absl::InvalidArgumentError(
        absl::StrCat("the plaintext has ", size, " bytes; the limit is ", kMaxPlaintextSize));
  }
  return absl::OkStatus();
}

absl::Status CheckDecryptRequest(absl::string_view key_id, const Ciphertext& ciphertext) {
  if (key_id.empty()) return absl::InvalidArgumentError("the key id is empty");
  if (key_id.size() > kMaxKeyIdSize) {
    return absl::InvalidArgumentError(
        absl::StrCat("the key id has ", key_id.size(), " bytes; the limit is ", kMaxKeyIdSize));
  }
  if (ciphertext.bytes.empty()) return absl::InvalidArgumentError("the ciphertext is empty");
  if (ciphertext.bytes.size() > kMaxCiphertextSize) {
    return absl::InvalidArgumentError(absl::StrCat("the ciphertext has ", ciphertext.bytes.size(),
                                                   " bytes; the limit is ", kMaxCiphertextSize));
  }
  if (const std::size_t size = AnnotationsSize(ciphertext); size > kMaxAnnotationsSize) {
    return absl::InvalidArgumentError(
        absl::StrCat("the annotations have ", size, " bytes; the limit is ", kMaxAnnotationsSize));
  }
  return absl::OkStatus();
}

}  // namespace okms
