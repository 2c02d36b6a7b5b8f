// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/peer_certificate.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "net/x509_text.h"

namespace okms {
namespace {

thread_local std::string refusal;

// OpenSSL takes it for no purpose at all. What it checks besides (RFC 5280 section 4.2.1.3) stays.
bool IsForAnyPurpose(X509* certificate, int depth) {
  if ((X509_get_extension_flags(certificate) & EXFLAG_XKUSAGE) == 0 ||
      (X509_get_extended_key_usage(certificate) & XKU_ANYEKU) == 0) {
    return false;
  }
  if (depth > 0) return X509_check_ca(certificate) != 0;
  constexpr uint32_t kTls = KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT | KU_KEY_AGREEMENT;
  return (X509_get_key_usage(certificate) & kTls) != 0;
}

std::string NamesText(const X509* certificate) {
  const std::string names = AlternativeNames(certificate);
  if (names.empty()) {
    return ": it has no alternative name, and the common name does not count; have one issued "
           "that names the host of --serv-addr";
  }
  return absl::StrCat(": it is for ", names, "; check --serv-addr");
}

std::string Explain(int error, const X509* certificate, int depth) {
  const std::string reason = X509_verify_cert_error_string(error);
  if (certificate == nullptr) return absl::StrCat(reason, "; check --ca and --serv-addr");
  const std::string whose =
      depth == 0 ? "" : absl::StrCat(", of ", NameText(X509_get_subject_name(certificate)));
  switch (error) {
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return absl::StrCat(reason, ": not before ", TimeText(X509_get0_notBefore(certificate)),
                          whose, "; check this machine's clock");
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return absl::StrCat(reason, ": on ", TimeText(X509_get0_notAfter(certificate)), whose,
                          "; have it renewed, or check this machine's clock");
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return absl::StrCat(reason, NamesText(certificate));
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return absl::StrCat(reason, ": the issuer is ", NameText(X509_get_issuer_name(certificate)),
                          "; check --ca");
    case X509_V_ERR_INVALID_PURPOSE:
      return absl::StrCat(reason, ": not for servers", whose,
                          "; check --serv-addr, or have one issued for servers");
    default: return absl::StrCat(reason, whose, "; check --ca and --serv-addr");
  }
}

int Judge(int good, X509_STORE_CTX* context) {
  refusal.clear();
  if (good == 1) return 1;
  const int error = X509_STORE_CTX_get_error(context);
  const int depth = X509_STORE_CTX_get_error_depth(context);
  X509* const certificate = X509_STORE_CTX_get_current_cert(context);
  if (error == X509_V_ERR_INVALID_PURPOSE && certificate != nullptr &&
      IsForAnyPurpose(certificate, depth)) {
    X509_STORE_CTX_set_error(context, X509_V_OK);
    return 1;
  }
  // The first error that is left in the queue is taken for the reason.
  ERR_set_mark();
  refusal = Explain(error, certificate, depth);
  ERR_pop_to_mark();
  return 0;
}

}  // namespace

void VerifyPeer(SSL_CTX* context) {
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, Judge);
}

bool ExpectHost(X509_VERIFY_PARAM* param, const std::string& host) {
  X509_VERIFY_PARAM_set_hostflags(
      param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  if (X509_VERIFY_PARAM_set1_ip_asc(param, host.c_str()) == 1) return true;
  ERR_clear_error();
  const std::string name(absl::StripSuffix(host, "."));
  if (name.empty()) return false;  // for OpenSSL that is: whoever it may be
  return X509_VERIFY_PARAM_set1_host(param, name.c_str(), name.size()) == 1;
}

std::string TakeRefusal() { return std::exchange(refusal, {}); }

}  // namespace okms
