// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// What must not leave a machine is taken out of a text that is to.

#ifndef OKMS_CTL_SCRUB_H_
#define OKMS_CTL_SCRUB_H_

#include <string>

#include "absl/strings/string_view.h"

namespace okms::ctl {

// The text, as lines that a terminal shows, without: PEM; who somebody is in a URL; the value of
// whatever is called a password, a secret, a token or the like, credentials within a unit included;
// and what looks like a key, in base64 or as hexadecimal digits. A hash that says it is one
// ("sha256:") stays. Rather too much goes than too little; a secret of another shape stays.
std::string Scrubbed(absl::string_view text);

// Assignments of variables (systemd.exec(5), Environment= and EnvironmentFile=), without comments,
// and without the values of all that is not the plugin's own: a name of another's variable does not
// tell what is in it.
std::string OnlyOurVariables(absl::string_view lines);

// What `systemctl cat` shows, without comments but those that name a file, and its variables as
// above.
std::string UnitWithoutSecrets(absl::string_view unit);

}  // namespace okms::ctl

#endif  // OKMS_CTL_SCRUB_H_
