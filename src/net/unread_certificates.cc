// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "net/unread_certificates.h"

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cstdint>
#include <new>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "base/guarded.h"
#include "base/secret.h"
#include "net/openssl_ptr.h"
#include "net/pem_certificates.h"

namespace okms {
namespace {

using X509NamePtr = std::unique_ptr<X509_NAME, OpenSslDeleter<X509_NAME_free>>;

// What stands between the lines that begin and end it; empty when that is no Base64.
std::string DerOf(absl::string_view pem) {
  const std::size_t begin = std::min(pem.find('\n'), pem.size());
  const absl::string_view body = pem.substr(begin);
  std::string der;
  return absl::Base64Unescape(body.substr(0, body.find("-----END ")), &der) ? der : "";
}

// RFC 5280 section 4.1: within Certificate and TBSCertificate the subject comes after the version
// (which may be left out), serial number, signature, issuer, and validity.
X509NamePtr SubjectOf(ByteView der) {
  const uint8_t* at = der.data();
  const uint8_t* const end = at + der.size();
  long size = 0;
  int tag = 0;
  int tag_class = 0;
  const auto enter = [&] {
    constexpr int kError = 0x80;  // else `size` bytes are there
    return (ASN1_get_object(&at, &size, &tag, &tag_class, end - at) & kError) == 0;
  };
  if (!enter() || !enter()) return nullptr;
  const uint8_t* const first = at;
  if (!enter()) return nullptr;
  at = tag_class == V_ASN1_CONTEXT_SPECIFIC ? at + size : first;
  for (int field = 0; field < 4; ++field) {
    if (!enter()) return nullptr;
    at += size;
  }
  return X509NamePtr(d2i_X509_NAME(nullptr, &at, end - at));
}

std::optional<unsigned long> HashOf(const X509_NAME* name) {
  int done = 0;
  const unsigned long hash = name == nullptr ? 0 : X509_NAME_hash_ex(name, nullptr, nullptr, &done);
  return done == 1 ? std::optional(hash) : std::nullopt;
}

X509Ptr Parse(const std::string& der) {
  const uint8_t* at = AsBytes(der).data();
  return X509Ptr(d2i_X509_AUX(nullptr, &at, static_cast<long>(der.size())));
}

int FindIssuer(X509** issuer, X509_STORE_CTX* context, X509* certificate) {
  UnreadCertificates::Read(X509_STORE_CTX_get0_store(context), X509_get_issuer_name(certificate));
  return X509_STORE_CTX_get1_issuer(issuer, context, certificate);
}

STACK_OF(X509) * FindAll(X509_STORE_CTX* context, const X509_NAME* subject) {
  UnreadCertificates::Read(X509_STORE_CTX_get0_store(context), subject);
  return X509_STORE_CTX_get1_certs(context, subject);
}

}  // namespace

// What of them is in a store by now.
class UnreadCertificates::OfStore {
 public:
  explicit OfStore(std::shared_ptr<const UnreadCertificates> all) : all_(std::move(all)) {}

  // Where in a store it is; the store's end is its own.
  static int Place() {
    static const int place = X509_STORE_get_ex_new_index(
        0, nullptr, nullptr, nullptr, [](void*, void* self, CRYPTO_EX_DATA*, int, long, void*) {
          delete static_cast<OfStore*>(self);
        });
    return place;
  }
  static OfStore* In(const X509_STORE* store) {
    return static_cast<OfStore*>(X509_STORE_get_ex_data(store, Place()));
  }

  std::size_t Count() const {
    return parsed_.With([this](const std::set<unsigned long>& parsed) {
      std::size_t count = all_->by_subject_.size();
      for (const unsigned long subject : parsed) count -= all_->by_subject_.count(subject);
      return count;
    });
  }

  void Read(X509_STORE* store, unsigned long subject) {
    // With the lock until they are in the store, or another thread would find them nowhere.
    parsed_.With([&](std::set<unsigned long>& parsed) {
      if (all_->by_subject_.count(subject) == 0 || !parsed.insert(subject).second) return;
      const auto [first, last] = all_->by_subject_.equal_range(subject);
      for (auto each = first; each != last; ++each) {
        if (const X509Ptr made = Parse(each->second)) X509_STORE_add_cert(store, made.get());
      }
    });
  }

 private:
  const std::shared_ptr<const UnreadCertificates> all_;
  Guarded<std::set<unsigned long>> parsed_;  // the subjects
};

void UnreadCertificates::Give(X509_STORE* store,
                              std::shared_ptr<const UnreadCertificates> certificates) {
  auto its = std::make_unique<OfStore>(std::move(certificates));
  if (X509_STORE_set_ex_data(store, OfStore::Place(), its.get()) != 1) throw std::bad_alloc();
  (void)its.release();  // the store's now
  X509_STORE_set_get_issuer(store, FindIssuer);
  X509_STORE_set_lookup_certs(store, FindAll);
}

std::size_t UnreadCertificates::CountOf(const X509_STORE* store) {
  const OfStore* const its = OfStore::In(store);
  return its == nullptr ? 0 : its->Count();
}

void UnreadCertificates::Read(X509_STORE* store, const X509_NAME* subject) {
  ERR_set_mark();
  if (const auto hash = HashOf(subject)) OfStore::In(store)->Read(store, *hash);
  ERR_pop_to_mark();
}

void UnreadCertificates::Add(absl::string_view pem) {
  ERR_set_mark();
  for (const PemCertificate& certificate : FindCertificates(pem)) {
    std::string der = DerOf(certificate.text);
    const std::optional<unsigned long> subject = HashOf(SubjectOf(AsBytes(der)).get());
    if (!subject) continue;
    const auto [first, last] = by_subject_.equal_range(*subject);
    const auto same = [&](const auto& known) { return known.second == der; };
    if (std::none_of(first, last, same)) by_subject_.emplace(*subject, std::move(der));
  }
  ERR_pop_to_mark();
}

}  // namespace okms
