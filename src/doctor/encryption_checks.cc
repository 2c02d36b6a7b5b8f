// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "doctor/encryption_checks.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "doctor/shown_text.h"
#include "doctor/text_file.h"

namespace okms::doctor {
namespace {

using Provider = EncryptionConfig::Provider;
using Entry = EncryptionConfig::Entry;

constexpr absl::Duration kDefaultTimeout = absl::Seconds(3);  // pkg/apis/apiserver/v1/defaults.go
// What an Encrypt needs at least: a connection to the KMS, perhaps, and two operations there.
constexpr absl::Duration kLeastTimeout = absl::Milliseconds(100);

using Providers = std::vector<const Provider*>;  // of what was read

std::string EditorAt(const Examination& all, int line) {
  return absl::StrCat("${EDITOR:-vi} +", line, " ", all.request.encryption_config);
}

std::string At(const Examination& all, const Provider& provider) {
  return absl::StrCat(
      Printable(all.request.encryption_config), ":", provider.line, ": ", provider.kind,
      provider.name.empty() ? "" : absl::StrCat(" ", ShownValue(provider.name)), ": ");
}

// Two names of one file (/var/run is a link to /run) are the same.
std::string Canonical(const std::string& text) {
  const auto address = ParseSocketAddress(text);
  if (!address.ok() || address->path.empty()) return address.ok() ? address->ToString() : text;
  std::error_code error;
  const auto path = std::filesystem::weakly_canonical(address->path, error);
  return error ? address->path : path.string();
}

bool IsOurs(const Examination& all, const Provider& provider) {
  return provider.kind == "kms" && all.config &&
         Canonical(provider.endpoint) == Canonical(all.socket().ToString());
}

Providers Where(const Examination& all, const std::function<bool(const Provider&)>& is) {
  Providers found;
  for (const Entry& entry : all.apiserver->entries) {
    for (const Provider& provider : entry.providers) {
      if (is(provider)) found.push_back(&provider);
    }
  }
  return found;
}

Providers OurProviders(const Examination& all) {
  Providers ours = Where(all, [&](const Provider& each) { return IsOurs(all, each); });
  if (!ours.empty()) return ours;
  return Where(all, [](const Provider& each) { return each.kind == "kms"; });
}

// What is wrong with each of ours; `well` when nothing is.
Verdicts JudgeEach(const Examination& all, const std::string& well,
                   const std::function<Verdicts(const Provider&)>& judge) {
  const Providers ours = OurProviders(all);
  if (ours.empty()) return {};
  Verdicts verdicts;
  for (const Provider* const provider : ours) {
    for (Verdict& verdict : judge(*provider)) {
      verdict.line = At(all, *provider) + verdict.line;
      verdict.mend = EditorAt(all, provider->line);
      verdicts.push_back(std::move(verdict));
    }
  }
  return verdicts.empty() ? Passed(well) : verdicts;
}

// The same of each entry that has one of ours, and its place.
Verdicts JudgeEntries(const Examination& all, const std::string& well,
                      const std::function<Verdicts(const Entry&, std::size_t)>& judge) {
  const Providers ours = OurProviders(all);
  Verdicts verdicts;
  bool any = false;
  for (const Entry& entry : all.apiserver->entries) {
    const auto found = std::find_if(
        entry.providers.begin(), entry.providers.end(),
        [&](const Provider& each) { return std::count(ours.begin(), ours.end(), &each) > 0; });
    if (found == entry.providers.end()) continue;
    any = true;
    for (Verdict& verdict :
         judge(entry, static_cast<std::size_t>(found - entry.providers.begin()))) {
      verdicts.push_back(std::move(verdict));
    }
  }
  if (!any) return {};
  return verdicts.empty() ? Passed(well) : verdicts;
}

std::string Resources(const Entry& entry) {
  const auto append = [](std::string* out, const std::string& each) {
    out->append(ShownValue(each));
  };
  return Printable(absl::StrJoin(entry.resources, ", ", append), 100);
}

// The longest that a round trip with the key took, which is what one Encrypt costs the plugin;
// none: there was no round trip.
std::optional<Clock::duration> RoundTripTook(const Examination& all) {
  std::optional<Clock::duration> longest;
  for (const Endpoint& endpoint : all.endpoints) {
    if (!endpoint.trip) continue;
    longest = std::max(longest.value_or(endpoint.trip->took), endpoint.trip->took);
  }
  return longest;
}

}  // namespace

Verdicts CheckEncryptionConfig(Examination& all) {
  const std::string& path = all.request.encryption_config;
  const absl::StatusOr<std::string> text = ReadTextFile(path);
  if (absl::IsPermissionDenied(text.status())) {
    return Unknown(std::string(text.status().message()), all.AsRoot());
  }
  if (!text.ok()) return Failed(std::string(text.status().message()), absl::StrCat("ls -l ", path));
  auto config = ParseEncryptionConfig(*text);
  if (!config.ok()) {
    return Failed(absl::StrCat(Printable(path), ": ", config.status().message()),
                  absl::StrCat("${EDITOR:-vi} ", path));
  }
  all.apiserver = *std::move(config);
  return Passed(absl::StrCat(Printable(path), ": is an EncryptionConfiguration"));
}

Verdicts CheckFields(Examination& all) {
  Verdicts verdicts;
  for (const EncryptionConfig::Field& field : all.apiserver->wrong) {
    verdicts.push_back({Outcome::kFailed,
                        absl::StrCat(Printable(all.request.encryption_config), ":", field.line,
                                     ": kube-apiserver does not start: strict decoding error: ",
                                     field.what, "; ", field.remedy),
                        EditorAt(all, field.line)});
  }
  return verdicts.empty() ? Passed("kube-apiserver knows all fields") : verdicts;
}

Verdicts CheckApiserverEndpoint(Examination& all) {
  const std::string socket = all.socket().ToString();
  const Providers kms = Where(all, [](const Provider& each) { return each.kind == "kms"; });
  const std::string mend = EditorAt(all, kms.empty() ? 1 : kms.front()->line);
  const std::string wanted =
      absl::StrCat("endpoint: unix://", all.socket().path.empty() ? "/" : "", socket);
  if (kms.empty()) {
    return Failed(absl::StrCat(Printable(all.request.encryption_config),
                               ": has no kms provider; add one with ", wanted),
                  mend);
  }
  Verdicts verdicts;
  for (const Provider* const provider : kms) {
    if (!absl::StartsWith(provider->endpoint, "unix://")) {
      verdicts.push_back({Outcome::kFailed,
                          absl::StrCat(At(all, *provider), "its endpoint is no unix:// address: ",
                                       ShownValue(provider->endpoint)),
                          EditorAt(all, provider->line)});
    } else if (IsOurs(all, *provider)) {
      return Passed(absl::StrCat("a kms provider has ", wanted));
    }
  }
  if (!verdicts.empty()) return verdicts;
  return Failed(
      absl::StrCat(At(all, *kms.front()), "its endpoint is ", ShownValue(kms.front()->endpoint),
                   ", and the plugin's socket is ", socket, "; write ", wanted),
      mend);
}

Verdicts CheckApiVersion(Examination& all) {
  return JudgeEach(all, "the apiVersion is v2", [](const Provider& provider) -> Verdicts {
    if (provider.api_version == "v2") return {};
    return Failed(provider.api_version.empty()
                      ? "has no apiVersion, which means v1, which is gone; write apiVersion: v2"
                      : absl::StrCat("has apiVersion ", ShownValue(provider.api_version),
                                     "; the plugin speaks v2 alone"),
                  "");
  });
}

Verdicts CheckCacheSize(Examination& all) {
  return JudgeEach(all, "there is no cachesize", [](const Provider& provider) -> Verdicts {
    if (!provider.cache_size) return {};
    return Failed("has a cachesize, with which kube-apiserver does not start on v2; take it out",
                  "");
  });
}

Verdicts CheckProviderName(Examination& all) {
  return JudgeEach(all, "the name is one", [](const Provider& provider) -> Verdicts {
    if (provider.name.empty()) return Failed("has no name; give one, and never change it", "");
    if (absl::StrContains(provider.name, ':')) {
      return Failed("its name has a colon in it, which kube-apiserver refuses; take it out", "");
    }
    return {};
  });
}

Verdicts CheckApiserverTimeout(Examination& all) {
  const std::optional<Clock::duration> took = RoundTripTook(all);
  const absl::Duration ours =
      all.config ? absl::FromChrono(all.config->timeout) : absl::InfiniteDuration();
  return JudgeEach(all, "its timeout is long enough", [&](const Provider& provider) -> Verdicts {
    absl::Duration timeout = kDefaultTimeout;
    if (!provider.timeout.empty() &&
        (!absl::ParseDuration(provider.timeout, &timeout) || timeout <= absl::ZeroDuration())) {
      return Failed(absl::StrCat("its timeout ", ShownValue(provider.timeout),
                                 " is no time above 0; write for example 3s"),
                    "");
    }
    if (took && absl::FromChrono(*took) >= timeout) {
      return Failed(absl::StrCat("its timeout is ", absl::FormatDuration(timeout),
                                 ", and a round trip with the key took ", TookText(*took),
                                 "; nothing could be written; make it longer"),
                    "");
    }
    if (timeout < kLeastTimeout && took) {
      return Warning(absl::StrCat("its timeout is ", absl::FormatDuration(timeout),
                                  ", and a round trip with the key took ", TookText(*took),
                                  ": with a new connection, or a slower answer, nothing could be "
                                  "written; write for example 3s"),
                     "");
    }
    if (timeout < kLeastTimeout) {
      return Failed(absl::StrCat("its timeout is ", absl::FormatDuration(timeout),
                                 ", in which the plugin cannot ask the KMS twice; nothing could be "
                                 "written; write for example 3s"),
                    "");
    }
    if (timeout > ours) {
      return Warning(
          absl::StrCat("its timeout is ", absl::FormatDuration(timeout),
                       ", and the plugin ends an operation after ", absl::FormatDuration(ours),
                       " (--timeout): the rest has no effect"),
          "");
    }
    return {};
  });
}

Verdicts CheckProviderOrder(Examination& all) {
  const auto judge = [&](const Entry& entry, std::size_t place) -> Verdicts {
    if (place == 0) return {};
    const Provider& first = entry.providers.front();
    const bool plain = first.kind == "identity";
    return Failed(
        absl::StrCat(At(all, first), "is the first provider of ", Resources(entry),
                     plain ? ", so they are written unencrypted: right for the first step of "
                             "turning on and for the way back"
                           : ", so it encrypts them, not the KMS: right for the first step of a "
                             "change to the KMS",
                     ", else put kms first"),
        EditorAt(all, first.line));
  };
  return JudgeEntries(all, "the KMS encrypts what is written", judge);
}

Verdicts CheckIdentity(Examination& all) {
  const auto judge = [&](const Entry& entry, std::size_t) -> Verdicts {
    for (std::size_t i = 1; i + 1 < entry.providers.size(); ++i) {
      if (entry.providers[i].kind != "identity") continue;
      return Warning(absl::StrCat(At(all, entry.providers[i]), "is not the last provider of ",
                                  Resources(entry), "; put it last"),
                     EditorAt(all, entry.providers[i].line));
    }
    return {};
  };
  return JudgeEntries(all, "no identity stands between others", judge);
}

Verdicts CheckDuplicates(Examination& all) {
  Verdicts verdicts;
  std::set<std::string> names;
  std::set<std::string> resources;
  for (const Entry& entry : all.apiserver->entries) {
    for (const Provider& provider : entry.providers) {
      if (provider.kind != "kms" || provider.name.empty()) continue;
      if (!names.insert(provider.name).second) {
        verdicts.push_back({Outcome::kFailed,
                            absl::StrCat(At(all, provider),
                                         "another kms provider has that name, with which "
                                         "kube-apiserver does not start; name each once"),
                            EditorAt(all, provider.line)});
      }
    }
    const int line = entry.providers.empty() ? 1 : entry.providers.front().line;
    for (const std::string& resource : entry.resources) {
      if (!resources.insert(resource).second) {
        verdicts.push_back(
            {Outcome::kWarning,
             absl::StrCat(Printable(all.request.encryption_config), ": ", ShownValue(resource),
                          " stands in two entries, of which the first counts"),
             EditorAt(all, line)});
      }
    }
  }
  return verdicts.empty() ? Passed("no name and no resource is there twice") : verdicts;
}

}  // namespace okms::doctor
