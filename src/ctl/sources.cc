// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include "ctl/sources.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>
#include <variant>

#include <CLI/CLI.hpp>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/status.h"
#include "config/flags.h"
#include "config/help_text.h"
#include "config/status_listen.h"
#include "core/key_id_hash.h"
#include "ctl/bus_report.h"
#include "ctl/connection.h"
#include "ctl/http_get.h"
#include "doctor/kms_status.h"
#include "version.h"

namespace okms::ctl {
namespace {

constexpr char kBothPlaces[] = "--instance is for the places of the units; leave it out";
constexpr std::chrono::seconds kPatience{5};  // with one source

bool IsInstance(absl::string_view text) {
  constexpr absl::string_view kOthers = "_.-";  // nixos/module.nix has the same
  return text != "." && text != ".." && std::all_of(text.begin(), text.end(), [&](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                  absl::StrContains(kOthers, c);
         });
}

absl::Status CheckInstance(const std::string& name) {
  if (IsInstance(name)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--instance ", Printable(name),
                   ": no name of an instance; give what follows @ in the unit's name"));
}

absl::StatusOr<StatusListen> ParseStatus(const std::string& text) {
  if (!absl::StrContains(text, ':') && !absl::StartsWith(text, "/")) {
    return absl::InvalidArgumentError(absl::StrCat("--status: \"", Printable(text),
                                                   "\" is no absolute path; give /path or "
                                                   "host:port"));
  }
  auto place = ParseStatusListen(absl::StartsWith(text, "/") ? absl::StrCat("unix:", text) : text,
                                 /*anywhere=*/true);
  if (place.ok()) return place;
  return absl::InvalidArgumentError(
      absl::StrReplaceAll(place.status().message(), {{kStatusListenFlag, "--status"}}));
}

// It has less in it than the plugin's own: the verdict and the key.
Json ReportOf(const doctor::KmsStatus& status) {
  const absl::Status verdict = status.Verdict();
  Json report{{"ready", verdict.ok()},
              {"reason", std::string(verdict.message())},
              {"code", absl::StatusCodeToString(status.error.code())}};
  // An error says nothing of the key.
  if (status.error.ok()) {
    report["key"] = {{"id", status.key_id}, {"id_hash", KeyIdHash(status.key_id)}};
  }
  return report;
}

Source Kms(SocketAddress place) {
  std::string name = place.ToString();
  return {std::move(name), [place = std::move(place)](Deadline deadline) -> absl::StatusOr<Json> {
            OKMS_ASSIGN_OR_RETURN(UniqueFd socket, Connect(place, deadline));
            OKMS_ASSIGN_OR_RETURN(const doctor::KmsStatus status,
                                  doctor::AskStatus(std::move(socket), deadline));
            return ReportOf(status);
          }};
}

Source OnBus(const std::string& instance) {
  const std::string name = BusNameOf(instance);
  return {absl::StrCat(name, " on the system bus"),
          [name](Deadline deadline) { return BusReport(name, deadline); }};
}

Source KmsAt(const std::string& path) { return Kms(SocketAddress{path, "", ""}); }

}  // namespace

Source Pages(const StatusListen& place) {
  const auto* const path = std::get_if<SocketAddress>(&place);
  std::string name =
      path != nullptr ? path->ToString() : Printable(std::get<TcpListen>(place).name);
  return {std::move(name), [place](Deadline deadline) -> absl::StatusOr<Json> {
            OKMS_ASSIGN_OR_RETURN(const UniqueFd socket, Connect(place, deadline));
            OKMS_ASSIGN_OR_RETURN(const std::string page,
                                  HttpGet(socket.get(), "/status", kLargestReport, deadline));
            return ParseReport(page);
          }};
}

std::vector<Source> ReportsOf(const Places& places) {
  return {OnBus(places.instance),
          Pages(SocketAddress{absl::StrCat("/run/", places.Folder(), "/status.sock"), "", ""})};
}

std::string Places::Unit() const {
  return absl::StrCat(kProgram, instance.empty() ? "" : absl::StrCat("@", instance), ".service");
}

std::string Places::Folder() const {
  return absl::StrCat(kProgram, instance.empty() ? "" : absl::StrCat("/", instance));
}

void AddPlaces(CLI::App& command, Places& places) {
  command.add_option("--status", places.status,
                     Wrapped("Where the status pages are: /path or host:port. Default: where the "
                             "unit has them"));
  AddSocketPlace(command, places);
}

void AddSocketPlace(CLI::App& command, Places& places) {
  command.add_option("--socket", places.socket,
                     Wrapped("Where kube-apiserver connects: /path or @name. Default: where the "
                             "unit has it, else where the plugin has it by itself"));
  command.add_option("--instance", places.instance,
                     Wrapped("The instance of the units: what follows @ in their names"));
}

absl::StatusOr<SocketAddress> SocketOf(const Places& places) {
  OKMS_RETURN_IF_ERROR(CheckInstance(places.instance));
  if (!places.socket.empty()) {
    if (!places.instance.empty()) return absl::InvalidArgumentError(kBothPlaces);
    auto place = ParseSocketAddress(places.socket);
    return place.ok() ? place : Annotate(place.status(), "--socket");
  }
  const std::string of_unit = absl::StrCat("/run/", places.Folder(), "/kms.sock");
  const bool plain = places.instance.empty() && ::access(of_unit.c_str(), F_OK) != 0 &&
                     ::access(kDefaultSocket, F_OK) == 0;
  return SocketAddress{plain ? kDefaultSocket : of_unit, "", ""};
}

absl::StatusOr<std::vector<Source>> SourcesOf(const Places& places) {
  std::vector<Source> sources;
  OKMS_RETURN_IF_ERROR(CheckInstance(places.instance));
  if (!places.status.empty()) {
    OKMS_ASSIGN_OR_RETURN(const StatusListen place, ParseStatus(places.status));
    sources.push_back(Pages(place));
    sources.back().name = Printable(places.status);
  }
  if (!places.socket.empty()) {
    auto place = ParseSocketAddress(places.socket);
    if (!place.ok()) return Annotate(place.status(), "--socket");
    sources.push_back(Kms(*std::move(place)));
  }
  if (!sources.empty()) {
    if (places.instance.empty()) return sources;
    return absl::InvalidArgumentError(kBothPlaces);
  }
  const std::string folder = absl::StrCat("/run/", places.Folder());
  sources = ReportsOf(places);
  sources.push_back(KmsAt(folder + "/kms.sock"));
  if (places.instance.empty()) sources.push_back(KmsAt(kDefaultSocket));
  return sources;
}

absl::StatusOr<Found> Ask(std::span<const Source> sources) {
  std::string tried;
  absl::StatusCode code = absl::StatusCode::kUnavailable;
  for (const Source& source : sources) {
    absl::StatusOr<Json> report = source.ask(Clock::now() + kPatience);
    if (report.ok()) return Found{source.name, *std::move(report)};
    if (absl::IsPermissionDenied(report.status())) code = report.status().code();
    absl::StrAppend(&tried, tried.empty() ? "" : "\n", source.name, ": ",
                    report.status().message());
  }
  return absl::Status(code, tried);
}

}  // namespace okms::ctl
