// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Not against an attacker, who would set LD_PRELOAD: against what is left from a search for some
// other fault, or set for a whole machine, and would write seeds to the log or lead names
// elsewhere.
//
// Measured, with a getenv of one's own: but for OPENSSL_ia32cap no library reads one before main.

#include "config/environment.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace okms {
namespace {

constexpr std::array kCleared{
    Variable{"GRPC_*", "traces print requests, seeds included; others change how it polls"},
    Variable{"SSLKEYLOGFILE", "the keys of each TLS session, in a file"},
    Variable{"QLOGDIR", "what libcurl says over QUIC, in files"},
    Variable{"CURL_*", "debugging of libcurl, and the choice of another TLS"},
    Variable{"OPENSSL_TRACE", "contents of TLS records, where it is built in"},
    Variable{"OPENSSL_MALLOC_*", "debugging of OpenSSL: failing allocations"},
    Variable{"KRB5_TRACE", "a log of Kerberos, which libcurl brings along"},
    Variable{"GNUTLS_*", "debugging of a TLS that libcurl brings along and nobody uses"},
    Variable{"P11_KIT_*", "the same, of its certificates"},
    Variable{"NETTLE_*", "the same, of its ciphers"},
    Variable{"CARES_*", "another /etc/hosts, which the sandbox does not let be read"},
    Variable{"HOSTALIASES",
             "other names for names, from such a file; the Go plugin has none either"},
    Variable{"LOCALDOMAIN", "names are looked up as /etc/resolv.conf says, and by nothing else"},
    Variable{"RES_OPTIONS", "the same"},
    Variable{"ALL_PROXY", "the Go plugin has no such variable: HTTPS_PROXY is the one"},
    Variable{"all_proxy", "the same"},
    Variable{"SD_EVENT_*", "debugging of the event loop"},
};

constexpr std::array kKept{
    Variable{"OKMS_*", "the plugin's own flags"},
    Variable{"CREDENTIALS_DIRECTORY", "where systemd puts certificates and keys"},
    Variable{"NOTIFY_SOCKET", "systemd's"},
    Variable{"LISTEN_*", "systemd's"},
    Variable{"WATCHDOG_*", "systemd's"},
    Variable{"DBUS_SYSTEM_BUS_ADDRESS", "where the system bus is"},
    Variable{"JOURNAL_STREAM", "systemd's: whether the log is its journal"},
    Variable{"HTTPS_PROXY, https_proxy", "the way to the KMS over REST"},
    Variable{"NO_PROXY, no_proxy", "the same"},
    Variable{"SSL_CERT_FILE", "the system's CA certificates, as other programs find them"},
    Variable{"SSL_CERT_DIR", "the same"},
    Variable{"OPENSSL_CONF", "a site's rules for ciphers (FIPS); it prints nothing"},
    Variable{"OPENSSL_MODULES", "where its providers are"},
    Variable{"OPENSSL_ENGINES", "the same, of older ones"},
    Variable{"OPENSSL_ia32cap", "read before main: which instructions of the processor it uses"},
    Variable{"GLIBC_TUNABLES", "read before main: malloc's size"},
    Variable{"MALLOC_*", "read before main: the same"},
    Variable{"TZ", "the time of day in lines that gRPC logs"},
};

bool IsNamed(absl::string_view name, const Variable& variable) {
  for (absl::string_view pattern : absl::StrSplit(variable.name, ", ")) {
    if (absl::ConsumeSuffix(&pattern, "*") ? absl::StartsWith(name, pattern) : name == pattern) {
      return true;
    }
  }
  return false;
}

bool IsAmong(absl::string_view name, std::span<const Variable> variables) {
  return std::any_of(variables.begin(), variables.end(),
                     [&](const Variable& variable) { return IsNamed(name, variable); });
}

}  // namespace

std::span<const Variable> ClearedVariables() { return kCleared; }
std::span<const Variable> KeptVariables() { return kKept; }

bool IsKept(absl::string_view name) { return IsAmong(name, kKept); }

std::vector<std::string> ClearEnvironment() {
  std::vector<std::string> cleared;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const absl::string_view text = *entry;
    const absl::string_view name = text.substr(0, text.find('='));
    if (IsAmong(name, kCleared)) cleared.emplace_back(name);
  }
  for (const std::string& name : cleared) ::unsetenv(name.c_str());
  return cleared;
}

}  // namespace okms
