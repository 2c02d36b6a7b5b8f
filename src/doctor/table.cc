// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What is checked, in which order, and what needs what.

#include "doctor/checks.h"
#include "doctor/config_checks.h"
#include "doctor/encryption_checks.h"
#include "doctor/in_use.h"
#include "doctor/kms_checks.h"
#include "doctor/socket_checks.h"

namespace okms::doctor {
namespace {

bool OfThePlugin(const Examination& all) { return all.request.key_id.empty(); }
bool OfAUnit(const Examination& all) { return !all.found.unit.empty() && !all.found.user.empty(); }
bool WithCa(const Examination& all) { return !all.config || !all.config->tls.ca.path.empty(); }
bool OverKmip(const Examination& all) { return !all.config || !all.config->servers[0].over_rest(); }
bool AtSeveralHosts(const Examination& all) { return all.endpoints.size() > 1; }
bool WithReports(const Examination& all) {
  return OfThePlugin(all) && all.request.ask_in_use != nullptr &&
         (!all.config || all.config->status_listen || !all.found.unit.empty());
}
bool AsAUser(const Examination& all) { return !all.request.as_user.empty(); }
bool WithItsFile(const Examination& all) { return !all.request.encryption_config.empty(); }

}  // namespace

const std::vector<Check>& AllChecks() {
  static const std::vector<Check> kChecks{
      {.id = "config.source", .needs = {}, .once = CheckSource},
      {.id = "config.flags", .needs = {"config.source"}, .once = CheckFlags},
      {.id = "config.user", .needs = {"config.flags"}, .asked = OfThePlugin, .once = CheckUser},

      {.id = "tls.setup", .needs = {"config.flags"}, .once = CheckTlsSetup},
      {.id = "client-cert.file", .needs = {"tls.setup"}, .once = CheckClientCert},
      {.id = "client-cert.dates", .needs = {"client-cert.file"}, .once = CheckClientCertDates},
      {.id = "client-cert.chain", .needs = {"client-cert.file"}, .once = CheckChain},
      {.id = "client-key.file", .needs = {"tls.setup"}, .once = CheckClientKey},
      {.id = "client-key.mode", .needs = {"client-key.file"}, .once = CheckKeyMode},
      {.id = "client-key.fits",
       .needs = {"client-cert.file", "client-key.file"},
       .once = CheckKeyFits},
      {.id = "ca.file", .needs = {"tls.setup"}, .once = CheckCa},
      {.id = "ca.dates", .needs = {"ca.file"}, .asked = WithCa, .once = CheckCaDates},
      {.id = "files.readers",
       .needs = {"config.user", "client-cert.file", "client-key.file", "ca.file"},
       .asked = OfAUnit,
       .once = CheckReaders},

      {.id = "endpoint.resolve", .needs = {"config.flags"}, .each = CheckResolve},
      {.id = "endpoint.connect", .needs = {"endpoint.resolve"}, .each = CheckConnect},
      {.id = "endpoint.handshake",
       .needs = {"endpoint.connect", "client-key.fits", "ca.file"},
       .each = CheckHandshake},
      {.id = "endpoint.version", .needs = {"endpoint.handshake"}, .each = CheckVersion},
      {.id = "endpoint.clock", .needs = {"endpoint.version"}, .each = CheckClock},
      {.id = "endpoint.batch",
       .needs = {"endpoint.version"},
       .asked = OverKmip,
       .each = CheckBatch},
      {.id = "key.name", .needs = {"endpoint.version"}, .each = CheckKeyName},
      {.id = "key.state", .needs = {"key.name"}, .each = CheckKeyState},
      {.id = "key.usage", .needs = {"key.state"}, .each = CheckKeyUsage},
      {.id = "key.round-trip", .needs = {"key.usage"}, .each = CheckRoundTrip},
      {.id = "key.agreement",
       .needs = {"key.round-trip"},
       .asked = AtSeveralHosts,
       .once = CheckAgreement},

      {.id = "socket.file", .needs = {"config.flags"}, .asked = OfThePlugin, .once = CheckSocket},
      {.id = "socket.access", .needs = {"socket.file"}, .asked = OfThePlugin, .once = CheckAccess},
      {.id = "socket.status",
       .needs = {"socket.file"},
       .asked = OfThePlugin,
       .once = CheckOwnStatus},
      {.id = "socket.certificates",
       .needs = {"socket.file", "client-cert.file", "ca.file"},
       .asked = WithReports,
       .once = CheckInUse},
      {.id = "socket.as-user",
       .needs = {"socket.file"},
       .asked = AsAUser,
       .once = CheckStatusAsUser},

      {.id = "encryption-config.file",
       .needs = {},
       .asked = WithItsFile,
       .once = CheckEncryptionConfig},
      {.id = "encryption-config.fields",
       .needs = {"encryption-config.file"},
       .asked = WithItsFile,
       .once = CheckFields},
      {.id = "encryption-config.endpoint",
       .needs = {"encryption-config.file", "config.flags"},
       .asked = WithItsFile,
       .once = CheckApiserverEndpoint},
      {.id = "encryption-config.version",
       .needs = {"encryption-config.file"},
       .asked = WithItsFile,
       .once = CheckApiVersion},
      {.id = "encryption-config.cachesize",
       .needs = {"encryption-config.file"},
       .asked = WithItsFile,
       .once = CheckCacheSize},
      {.id = "encryption-config.name",
       .needs = {"encryption-config.file"},
       .asked = WithItsFile,
       .once = CheckProviderName},
      {.id = "encryption-config.timeout",
       .needs = {"encryption-config.file"},
       .asked = WithItsFile,
       .once = CheckApiserverTimeout},
      {.id = "encryption-config.order",
       .needs = {"encryption-config.file"},
       .asked = WithItsFile,
       .once = CheckProviderOrder},
      {.id = "encryption-config.identity",
       .needs = {"encryption-config.file"},
       .asked = WithItsFile,
       .once = CheckIdentity},
      {.id = "encryption-config.duplicates",
       .needs = {"encryption-config.file"},
       .asked = WithItsFile,
       .once = CheckDuplicates},
  };
  return kChecks;
}

}  // namespace okms::doctor
