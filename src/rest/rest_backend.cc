// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "rest/rest_backend.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <set>
#include <variant>
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

absl::Status CheckKind(const ServiceKey& key) {
  const auto unfit = [&](auto... why) {
    return absl::FailedPreconditionError(absl::StrCat("key ", key.id, " ", why...));
  };
  if (key.type != "oct") {
    return unfit("is no symmetric key (type ", Printable(key.type, 40), ", not oct)");
  }
  if (key.state && *key.state != "active") {
    return unfit("is in state ", Printable(*key.state, 40), ", not active");
  }
  if (key.operations) {
    for (const absl::string_view needed : {"encrypt", "decrypt"}) {
      if (std::find(key.operations->begin(), key.operations->end(), needed) ==
          key.operations->end()) {
        return unfit("may not ", needed,
                     " (its operations: ", Printable(absl::StrJoin(*key.operations, ", "), 100),
                     ")");
      }
    }
  }
  return absl::OkStatus();
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
  Deadline deadline;
  Done<KeyInfo> done;
  std::string label;
  std::string token;
  std::set<std::string> seen;  // tokens
  std::size_t pages = 0;
  std::vector<std::string> found;
};

void RestBackend::FindKey(Deadline deadline, Done<KeyInfo> done) {
  if (const auto* id = std::get_if<KeyId>(&key_)) {
    const std::optional<std::string> uuid = ParseUuid(id->value);
    if (uuid) {
      CheckKey(*uuid, id->value, {}, deadline, std::move(done));
    } else {
      done(absl::FailedPreconditionError("the key id is no UUID"));
    }
    return;
  }
  FindByLabel(deadline, std::move(done));
}

void RestBackend::FindByLabel(Deadline deadline, Done<KeyInfo> done) {
  const std::string known = found_.With(
      [](const Found& found) { return Clock::now() < found.until ? found.uuid : std::string(); });
  if (known.empty()) {
    StartSearch(deadline, std::move(done));
    return;
  }
  CheckKey(known, known, std::get<KeyLabel>(key_).value, deadline,
           [this, deadline, done = std::move(done)](absl::StatusOr<KeyInfo> info) mutable {
             // Another key may have the label by now.
             const bool unsure = info.ok() ? !info->attributes_verified
                                           : absl::IsNotFound(info.status()) ||
                                                 absl::IsFailedPrecondition(info.status());
             if (unsure) {
               StartSearch(deadline, std::move(done));
             } else {
               done(std::move(info));
             }
           });
}

void RestBackend::StartSearch(Deadline deadline, Done<KeyInfo> done) {
  found_.With([](Found& found) { found = {}; });
  auto search = std::make_unique<Search>();
  search->deadline = deadline;
  search->done = std::move(done);
  search->label = std::get<KeyLabel>(key_).value;
  Continue(std::move(search));
}

void RestBackend::Continue(std::unique_ptr<Search> search) {
  auto request = std::make_shared<const HttpRequest>(api_.List(search->token));
  const Deadline deadline = search->deadline;
  http_->Send(
      std::move(request), {}, deadline,
      [this, search = std::move(search)](absl::StatusOr<HttpResponse> response) mutable {
        absl::StatusOr<ServiceKeyPage> page =
            response.ok() ? ServiceKeyApi::ParseList(*response) : response.status();
        if (!page.ok()) {
          search->done(page.status());
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
        const std::string shown = Printable(search->label);
        if (search->found.empty()) {
          search->done(absl::NotFoundError(absl::StrCat("no active key has the label \"", shown,
                                                        "\", or this client may not see it")));
        } else if (search->found.size() > 1) {
          const auto some = std::min<std::size_t>(8, search->found.size());
          search->done(absl::FailedPreconditionError(absl::StrCat(
              "the label \"", shown, "\" fits ", search->found.size(), " active keys (",
              absl::StrJoin(search->found.begin(),
                            search->found.begin() + static_cast<std::ptrdiff_t>(some), ", "),
              some < search->found.size() ? ", ..." : "",
              "); rename all but one, or name the key by its id")));
        } else {
          std::string id = std::move(search->found.front());
          found_.With([&](Found& found) { found = {id, Clock::now() + kListLasts}; });
          CheckKey(id, id, std::move(search->label), search->deadline, std::move(search->done));
        }
      });
}

void RestBackend::CheckKey(const std::string& uuid, std::string shown_id,
                           std::optional<std::string> label, Deadline deadline,
                           Done<KeyInfo> done) {
  http_->Send(std::make_shared<const HttpRequest>(api_.Get(uuid)), {}, deadline,
              [uuid, shown_id = std::move(shown_id), label = std::move(label),
               done = std::move(done)](absl::StatusOr<HttpResponse> response) mutable {
                absl::StatusOr<ServiceKey> key =
                    response.ok() ? ServiceKeyApi::ParseGet(*response) : response.status();
                if (absl::IsPermissionDenied(key.status())) {
                  // It may still Encrypt and Decrypt: the round trip that follows decides.
                  done(KeyInfo{std::move(shown_id), false});
                  return;
                }
                absl::Status status = key.status();
                if (status.ok() && key->id != uuid) {
                  status = absl::DataLossError(absl::StrCat(
                      "REST get key: the answer is about key ", key->id, ", not ", uuid));
                }
                if (status.ok() && label && key->name != *label) {
                  status = absl::FailedPreconditionError(
                      absl::StrCat("key ", key->id, " has the label \"", Printable(key->name),
                                   "\" now, not \"", Printable(*label), "\""));
                }
                if (status.ok()) status = CheckKind(*key);
                if (!status.ok()) {
                  done(std::move(status));
                  return;
                }
                // Without the state, a deactivated key would pass.
                done(KeyInfo{std::move(shown_id), key->state.has_value()});
              });
}

void RestBackend::Encrypt(const std::string& key_id, Secret plaintext, Deadline deadline,
                          Done<Ciphertext> done) {
  const std::optional<std::string> uuid = ParseUuid(key_id);
  if (!uuid) {
    done(absl::FailedPreconditionError("the key id is no UUID"));
    return;
  }
  // Shared with the transfer, which may have to send it again.
  auto request = std::make_shared<const HttpRequest>(api_.Encrypt(*uuid, plaintext));
  http_->Send(request, {}, deadline,
              [request, done = std::move(done)](absl::StatusOr<HttpResponse> response) mutable {
                absl::StatusOr<std::string> ciphertext =
                    response.ok() ? ServiceKeyApi::ParseEncrypt(*response, *request)
                                  : response.status();
                if (ciphertext.ok()) {
                  done(Ciphertext{*std::move(ciphertext), {}});
                } else {
                  done(ciphertext.status());
                }
              });
}

void RestBackend::Decrypt(const std::string& key_id, Ciphertext ciphertext, Deadline deadline,
                          Done<Secret> done) {
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
  auto request = std::make_shared<const HttpRequest>(api_.Decrypt(*uuid, ciphertext.bytes));
  http_->Send(request, {}, deadline,
              [request, done = std::move(done)](absl::StatusOr<HttpResponse> response) mutable {
                if (response.ok()) {
                  done(ServiceKeyApi::ParseDecrypt(*response, *request));
                } else {
                  done(response.status());
                }
              });
}

}  // namespace okms::rest
