// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "rest/rest_backend.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "base/status.h"
#include "base/uuid.h"

namespace okms::rest {
namespace {

// kube-apiserver asks a healthy plugin for its Status once a minute, and the Go plugin then lists.
constexpr std::chrono::seconds kListLasts{60};
constexpr std::size_t kMaxPages = 1000;  // of 100 keys each

KeyInfo InfoOf(const ServiceKey& key) {
  KeyInfo info;
  info.symmetric = {key.type == "oct", absl::StrCat("type ", Printable(key.type, 40), ", not oct")};
  if (key.state) {
    info.active = {*key.state == "active", absl::StrCat(Printable(*key.state, 40), ", not active")};
  }
  if (key.operations) {
    const std::vector<std::string>& may = *key.operations;
    const auto use = [&](absl::string_view operation) {
      return KeyInfo::Trait{std::find(may.begin(), may.end(), operation) != may.end(),
                            absl::StrCat(operation, " (its operations: ",
                                         Printable(absl::StrJoin(may, ", "), 100), ")")};
    };
    info.encrypts = use("encrypt");
    info.decrypts = use("decrypt");
  }
  info.labels = {key.name};
  return info;
}

absl::StatusOr<KeyInfo> ReadInfo(const std::string& uuid,
                                 const absl::StatusOr<http::HttpResponse>& response) {
  const absl::StatusOr<ServiceKey> key =
      response.ok() ? ServiceKeyApi::ParseGet(*response) : response.status();
  // It may still Encrypt and Decrypt.
  if (absl::IsPermissionDenied(key.status())) return KeyInfo();
  if (!key.ok()) return key.status();
  if (key->id != uuid) {
    return absl::DataLossError(
        absl::StrCat("REST get key: the answer is about key ", key->id, ", not ", uuid));
  }
  return InfoOf(*key);
}

// What can be said about a stored record without the KMS.
absl::Status CheckRecord(const Ciphertext& record) {
  if (!record.annotations.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("annotation \"", Printable(record.annotations.begin()->first, 80),
                     "\": a record of the REST protocol has none; if it was written over KMIP, use "
                     "--protocol kmip"));
  }
  if (!IsPrintableAscii(record.bytes)) {
    return absl::InvalidArgumentError(
        "the ciphertext is not printable ASCII, as a JWE of the REST protocol is");
  }
  return absl::OkStatus();
}

}  // namespace

// The way through the pages of a list, to the keys of that label.
struct RestBackend::Search {
  std::string label;
  NextDeadline deadline;
  Done<Located> done;
  std::string token = {};
  std::set<std::string> seen = {};  // tokens
  std::size_t pages = 0;
  std::vector<std::string> found = {};
};

void RestBackend::Locate(const std::string& label, NextDeadline deadline, Done<Located> done) {
  const std::string known = found_.With([&](const Found& found) {
    return found.label == label && Clock::now() < found.until ? found.uuid : std::string();
  });
  if (!known.empty()) {
    done(Located{{known}, true});
    return;
  }
  Continue(std::unique_ptr<Search>(new Search{label, std::move(deadline), std::move(done)}));
}

void RestBackend::Continue(std::unique_ptr<Search> search) {
  auto request = std::make_shared<const http::HttpRequest>(api_.List(search->token));
  const Deadline deadline = search->deadline();
  checks_->Send(
      std::move(request), {}, deadline,
      [this, search = std::move(search)](absl::StatusOr<http::HttpResponse> response) mutable {
        absl::StatusOr<ServiceKeyPage> page =
            response.ok() ? ServiceKeyApi::ParseList(*response) : response.status();
        if (!page.ok()) {
          search->done(api_.Located(page.status()));
          return;
        }
        ++search->pages;
        for (ServiceKey& key : page->keys) {
          // The list was asked for active keys; a server that ignores this must not make two of
          // one.
          const bool active = key.state.value_or("active") == "active";
          if (active && key.name == search->label) search->found.push_back(std::move(key.id));
        }
        if (!page->next.empty()) {
          search->token = page->next;
          if (!search->seen.insert(std::move(page->next)).second || search->pages == kMaxPages) {
            search->done(absl::DataLossError(
                absl::StrCat("REST list keys: the list does not end (after page ", search->pages,
                             "); name the key by its id")));
            return;
          }
          Continue(std::move(search));
          return;
        }
        if (search->found.size() == 1) {
          found_.With([&](Found& found) {
            found = {search->label, search->found.front(), Clock::now() + kListLasts};
          });
        }
        search->done(Located{std::move(search->found), false});
      });
}

void RestBackend::Inspect(const std::string& key_id, Deadline deadline, Done<KeyInfo> done) {
  const std::optional<std::string> uuid = ParseUuid(key_id);
  if (!uuid) {
    done(absl::FailedPreconditionError("the key id is no UUID"));
    return;
  }
  checks_->Send(std::make_shared<const http::HttpRequest>(api_.Get(*uuid)), {}, deadline,
                [this, uuid = *uuid,
                 done = std::move(done)](absl::StatusOr<http::HttpResponse> response) mutable {
                  absl::StatusOr<KeyInfo> info = ReadInfo(uuid, response);
                  Review(uuid, info);
                  if (info.ok()) {
                    done(std::move(info));
                  } else {
                    done(api_.Located(info.status()));
                  }
                });
}

void RestBackend::Review(const std::string& uuid, const absl::StatusOr<KeyInfo>& info) {
  if (!info.ok() && !absl::IsNotFound(info.status())) return;  // nothing was shown
  found_.With([&](Found& found) {
    const bool borne_out = info.ok() && WhyUnfit(*info).empty() && IsSeenActive(*info) &&
                           ShowsLabel(*info, found.label);
    if (found.uuid == uuid && !borne_out) found = {};
  });
}

void RestBackend::Encrypt(Way way, const std::string& key_id, Secret plaintext, Deadline deadline,
                          Done<Ciphertext> done) {
  const std::optional<std::string> uuid = ParseUuid(key_id);
  if (!uuid) {
    done(absl::FailedPreconditionError("the key id is no UUID"));
    return;
  }
  // Shared with the transfer, which may have to send it again.
  auto request = std::make_shared<const http::HttpRequest>(api_.Encrypt(*uuid, plaintext));
  Http(way).Send(
      request, {}, deadline,
      [request, done = std::move(done)](absl::StatusOr<http::HttpResponse> response) mutable {
        absl::StatusOr<std::string> ciphertext =
            response.ok() ? ServiceKeyApi::ParseEncrypt(*response, *request) : response.status();
        if (ciphertext.ok()) {
          done(Ciphertext{*std::move(ciphertext), {}});
        } else {
          done(ciphertext.status());
        }
      });
}

void RestBackend::Decrypt(Way way, const std::string& key_id, Ciphertext ciphertext,
                          Deadline deadline, Done<Secret> done) {
  absl::Status status = CheckRecord(ciphertext);
  const std::optional<std::string> uuid = ParseUuid(key_id);
  if (status.ok() && !uuid) {
    status = absl::InvalidArgumentError(
        absl::StrCat("the record's key id is no UUID: ", Printable(key_id, 80)));
  }
  if (!status.ok()) {
    done(std::move(status));
    return;
  }
  auto request = std::make_shared<const http::HttpRequest>(api_.Decrypt(*uuid, ciphertext.bytes));
  Http(way).Send(
      request, {}, deadline,
      [request, done = std::move(done)](absl::StatusOr<http::HttpResponse> response) mutable {
        if (response.ok()) {
          done(ServiceKeyApi::ParseDecrypt(*response, *request));
        } else {
          done(response.status());
        }
      });
}

}  // namespace okms::rest
