// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "doctor/as_user.h"
#include "doctor/config_checks.h"

namespace okms::doctor {
namespace {

std::string Install(const NamedFile& file, absl::string_view mode, absl::string_view what) {
  return absl::StrCat("install -m ", mode, " ", what, " ", file.path);
}

// Who has to be able to read it: what systemd hands over it reads as root, the rest is read by the
// plugin's user, at a reload at the latest.
std::string OwnerOf(const Examination& all, const NamedFile& file) {
  const auto& passed = all.found.passed;
  const bool by_systemd = std::find(passed.begin(), passed.end(), file.path) != passed.end();
  const absl::StatusOr<User> user = FindUser(all.User());
  return by_systemd || !user.ok() ? "root" : user->name;
}

// For its owner alone.
std::string InstallKey(const Examination& all, absl::string_view what) {
  const NamedFile& file = all.config->tls.client_key;
  return absl::StrCat("install -o ", OwnerOf(all, file), " -m 600 ", what, " ", file.path);
}

// `mistake`: what was found wrong with that file by itself.
Verdicts Judge(const Examination& all, const NamedFile& file, const absl::Status& mistake,
               const std::string& mend) {
  if (mistake.ok()) return Passed(absl::StrCat(file.Name(), ": can be used"));
  const bool encrypted = absl::StartsWith(file.path, "/run/credentials/") && !all.found.runs;
  if (encrypted) {
    return Unknown(absl::StrCat(file.option,
                                ": is encrypted, and read by systemd alone, "
                                "when the service starts"),
                   all.StartCommand());
  }
  const std::string line(mistake.message());
  // Not what the plugin would be told, who may be another user.
  const bool hidden = absl::IsPermissionDenied(mistake) && ::geteuid() != 0;
  return hidden ? Unknown(line, all.AsRoot()) : Failed(line, mend);
}

Verdicts JudgeDates(const Examination& all, const NamedFile& file) {
  const std::time_t now = std::time(nullptr);
  for (const Validity::Remark& remark : all.files.validity.Remarks(now)) {
    if (remark.option != file.option) continue;
    const std::string mend =
        remark.early ? "timedatectl set-ntp true" : Install(file, "644", "NEW-CERTIFICATE.pem");
    return remark.wrong ? Failed(remark.Text(), mend) : Warning(remark.Text(), mend);
  }
  return Passed(absl::StrCat(file.Name(), ": is valid now"));
}

}  // namespace

Verdicts CheckTlsSetup(Examination& all) {
  all.files = TlsContext::Read(all.config->tls);
  all.tls = std::move(all.files.context);
  if (all.files.setup.ok()) return Passed("OpenSSL is there, with ciphers for TLS");
  // Which says the same, of the same configuration of OpenSSL's.
  const char* const conf = std::getenv("OPENSSL_CONF");
  return Failed(std::string(all.files.setup.message()),
                absl::StrCat(conf == nullptr ? "" : absl::StrCat("OPENSSL_CONF=", conf, " "),
                             "openssl ciphers"));
}

Verdicts CheckClientCert(Examination& all) {
  const NamedFile& file = all.config->tls.client_cert;
  return Judge(all, file, all.files.client_cert, Install(file, "644", "CERTIFICATE.pem"));
}

Verdicts CheckClientKey(Examination& all) {
  const NamedFile& file = all.config->tls.client_key;
  return Judge(all, file, all.files.client_key, InstallKey(all, "KEY.pem"));
}

Verdicts CheckCa(Examination& all) {
  const NamedFile& file = all.config->tls.ca;
  const absl::Status& mistake = all.files.ca;
  if (!file.path.empty()) return Judge(all, file, mistake, Install(file, "644", "CA.pem"));
  if (mistake.ok()) return Passed("the system's CAs are trusted");
  return Failed(std::string(mistake.message()), "apt-get install ca-certificates");
}

Verdicts CheckClientCertDates(Examination& all) {
  return JudgeDates(all, all.config->tls.client_cert);
}

Verdicts CheckCaDates(Examination& all) { return JudgeDates(all, all.config->tls.ca); }

Verdicts CheckChain(Examination& all) {
  const NamedFile& file = all.config->tls.client_cert;
  if (all.files.chain_trouble.empty()) {
    return Passed(absl::StrCat(file.Name(), ": each certificate issued the one before it"));
  }
  return Warning(absl::StrCat(file.Name(), ": ", all.files.chain_trouble,
                              "; the KMS may not find its way to a CA that it trusts"),
                 absl::StrCat("cat CERTIFICATE.pem ITS-ISSUER.pem > ", file.path));
}

Verdicts CheckKeyMode(Examination& all) {
  const NamedFile& file = all.config->tls.client_key;
  struct stat info {};
  if (::stat(file.path.c_str(), &info) != 0) {
    return Unknown(ErrnoStatus(absl::StatusCode::kUnknown, file.Name(), errno).ToString(), "");
  }
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return Failed(absl::StrCat(file.Name(), ": others than its owner can write it"),
                  absl::StrCat("chmod go-w ", file.path));
  }
  if ((info.st_mode & S_IROTH) != 0) {
    return Warning(absl::StrCat(file.Name(), ": every user of this machine can read it"),
                   absl::StrCat("chmod o-rwx ", file.path));
  }
  const absl::StatusOr<User> user = FindUser(all.User());
  const bool known =
      info.st_uid == 0 || info.st_uid == ::geteuid() || (user.ok() && info.st_uid == user->uid);
  if (!known) {
    return Warning(absl::StrCat(file.Name(), ": belongs to user ", info.st_uid,
                                ", who is neither root nor the plugin's"),
                   absl::StrCat("chown ", OwnerOf(all, file), " ", file.path));
  }
  return Passed(absl::StrCat(file.Name(), ": nobody but its owner and group can read it"));
}

Verdicts CheckReaders(Examination& all) {
  const absl::StatusOr<User> user = FindUser(all.found.user);
  if (!user.ok()) return Unknown(std::string(user.status().message()), "systemd-sysusers");
  for (const std::string& path : all.config->tls.Paths()) {
    // What systemd hands over it reads as root.
    if (std::count(all.found.passed.begin(), all.found.passed.end(), path) > 0) continue;
    const absl::Status status = CanRead(*user, path);
    if (absl::IsPermissionDenied(status)) {
      return Unknown(std::string(status.message()), all.AsRoot());
    }
    if (!status.ok()) {
      return Failed(absl::StrCat(path, ": user ", user->name, " of ", all.found.unit,
                                 " cannot read it: ", status.message()),
                    absl::StrCat("chgrp ", user->gid, " ", path, " && chmod g+r ", path));
    }
  }
  return Passed(absl::StrCat("user ", user->name, " of ", all.found.unit, " is given all files"));
}

Verdicts CheckKeyFits(Examination& all) {
  const NamedFile& cert = all.config->tls.client_cert;
  if (const absl::Status& misfit = all.files.cert_misfit; !misfit.ok()) {
    return Failed(std::string(misfit.message()), Install(cert, "644", "CERTIFICATE.pem"));
  }
  if (const absl::Status& misfit = all.files.key_misfit; !misfit.ok()) {
    return Failed(std::string(misfit.message()), InstallKey(all, "KEY-OF-IT.pem"));
  }
  return Passed("the key is that of the certificate");
}

}  // namespace okms::doctor
