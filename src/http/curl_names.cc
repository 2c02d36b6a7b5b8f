// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "http/curl_names.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/status.h"

namespace okms::http {
namespace {

// "host:port:address,address".
void AddEntry(const CachedName& name, ListPtr& list) {
  const std::string addresses =
      absl::StrJoin(name.addresses(), ",", [](std::string* out, const Address& address) {
        const bool ipv6 = address.storage.ss_family == AF_INET6;
        absl::StrAppend(out, ipv6 ? "[" : "", address.ToString(), ipv6 ? "]" : "");
      });
  // Without its dot, as the URL has it.
  absl::string_view host = absl::StripSuffix(name.target().host, ".");
  // Older releases take no IPv6 address here. Any host of that port, then; which is no
  // danger, for the certificate must be the KMS's in any case.
  if (name.is_address() && absl::StrContains(host, ':')) host = "*";
  const std::string entry = absl::StrCat(host, ":", name.target().port, ":", addresses);
  list.reset(Curl().slist_append(list.release(), entry.c_str()));
}

}  // namespace

CurlNames::CurlNames(IoLoop& loop, const HostPort& server, std::optional<Proxy> proxy,
                     Traffic& traffic, const std::string& name_servers,
                     const std::function<void()>& told)
    : proxy_(std::move(proxy)), server_(loop, server, traffic, name_servers) {
  if (proxy_ && proxy_->server) {
    proxy_name_.emplace(loop, *proxy_->server, traffic, name_servers);
    needed_.push_back(&*proxy_name_);
  }
  if (NeedsServer()) needed_.push_back(&server_);
  for (CachedName* name : needed_) name->OnResult(told);
}

void CurlNames::Refresh() {
  for (CachedName* name : needed_) name->Refresh();
}

void CurlNames::Suspect() {
  for (CachedName* name : needed_) name->Suspect();
}

absl::StatusOr<bool> CurlNames::Ready(Deadline deadline) const {
  for (const CachedName* name : needed_) {
    if (name->known()) continue;
    if (!name->looking()) return name == &server_ ? name->error() : ProxyError();
    if (Clock::now() < deadline) return false;
    return absl::DeadlineExceededError(absl::StrCat("cannot resolve ", name->target().host,
                                                    ": the name service did not answer in time"));
  }
  return true;
}

ListPtr CurlNames::Entries() const {
  ListPtr list;
  for (const CachedName* name : needed_) {
    if (name->known()) AddEntry(*name, list);
  }
  return list;
}

absl::Status CurlNames::Failure(CURLcode code, absl::string_view error) const {
  // Newer releases only say that they were not let do it.
  const bool of_proxy = code == CURLE_COULDNT_RESOLVE_PROXY ||
                        (code == CURLE_ABORTED_BY_CALLBACK && proxy_name_ &&
                         !absl::StrContains(error, absl::StripSuffix(server_.target().host, ".")));
  if (of_proxy) return ProxyError();
  if (!server_.error().ok()) return server_.error();
  return absl::UnavailableError(absl::StrCat("cannot resolve ", server_.target().host));
}

absl::Status CurlNames::ProxyError() const {
  absl::Status status =
      absl::UnavailableError("cannot resolve the proxy's name; check HTTPS_PROXY");
  if (!proxy_name_ || proxy_name_->error().ok()) return status;
  return WithDetail(std::move(status), proxy_name_->error().message());
}

}  // namespace okms::http
