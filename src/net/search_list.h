// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Under which names to ask DNS for a name.

#ifndef OKMS_NET_SEARCH_LIST_H_
#define OKMS_NET_SEARCH_LIST_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace okms {

// The absolute names, each with its dot at the end, in the order in which to ask for them, by what
// resolv.conf(5) says of `search`, `domain` and `ndots`. As Go and glibc do, the name as it is
// given is always among them, and the root as a search domain adds nothing. `resolv_conf` is the
// file's content; without a domain in it, that of `host_name` (this machine's) counts. A name with
// a dot at the end is asked for as it is.
std::vector<std::string> SearchList(absl::string_view name, absl::string_view resolv_conf,
                                    absl::string_view host_name);

}  // namespace okms

#endif  // OKMS_NET_SEARCH_LIST_H_
